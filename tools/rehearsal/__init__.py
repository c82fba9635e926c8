"""The life cycle of a stack on this machine: Pulumi's real engine, and an emulator of the cloud."""
