"""A local stand-in for Azure SignalR Service in serverless mode: real clients connect, the REST API pushes to them."""
