"""The `scripts/docs` command: builds the documentation as static pages, which need no server."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command: exit code 0 = built, 1 = nothing was built because of a broken link or page."""
    options = _parser().parse_args(arguments)
    from tools.docs_site.site import BadPage, build

    try:
        pages = build(options.output.resolve(), repository=options.repository)
    except BadPage as error:
        print(f"docs     | {error}", file=sys.stderr)
        return 1
    print(f"docs     | {pages} pages, every link checked: open {options.output / 'index.html'}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/docs",
        description="Build the documentation as static pages with the routes of the HTTP API; broken links are errors.",
    )
    parser.add_argument(
        "--output", metavar="FOLDER", type=Path, default=ROOT / "dist" / "docs", help="where to; default: dist/docs"
    )
    parser.add_argument(
        "--repository",
        metavar="URL",
        help="where links to other files lead, such as https://github.com/acme/jobs/blob/main; without it their texts "
        "are left",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
