"""A stand-in for Azure behind the real engine: a provider plugin, and a cloud that is a file."""
