"""The documentation as static pages: `scripts/docs`."""
