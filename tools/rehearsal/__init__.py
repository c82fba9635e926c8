"""The whole life of a stack on this machine: Pulumi's real engine, and a stand-in for the cloud."""
