"""The `python -m tools.gallery` command: serves the gallery on this machine until it is interrupted."""

from __future__ import annotations

import signal

from tools.gallery.server import Gallery


def main() -> int:
    with Gallery() as gallery:
        print(f"{gallery.origin}/gallery.html (Ctrl+C ends it)", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
