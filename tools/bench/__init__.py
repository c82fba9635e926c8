"""Measures what the library costs, against loops of the same statements."""
