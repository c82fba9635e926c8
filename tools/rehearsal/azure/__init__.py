"""An emulator of Azure behind the real engine: a provider plugin, and a cloud that is a file."""
