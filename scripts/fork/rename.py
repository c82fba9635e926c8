"""The `scripts/rename` command: gives a fork its own name, title and accent."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.fork.errors import Refused

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command: exit code 0 = done, 1 = refused and nothing changed, 2 = invalid usage."""
    options = _parser().parse_args(arguments)
    from scripts.fork.renaming import plan_renaming

    try:
        changes = plan_renaming(root, options.name, title=options.title, accent=options.accent)
        changes.apply()
    except Refused as error:
        print(f"rename   | {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nrename   | interrupted; nothing was changed", file=sys.stderr)
        return 130
    for name in changes.names:
        print(f"rename   | changed {name}")
    print(f"rename   | {'done' if changes.names else 'nothing to change'}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/rename",
        description="Name your fork: the Pulumi project, from which the names of all Azure resources are made, the "
        "configuration keys of the stacks, and with options the title of the pages and their accent colour.",
        epilog="Run it before the first deployment, since a deployed stack keeps its names. Example: scripts/rename "
        "acme-jobs --title 'Acme jobs' --accent '#0b6b4f'",
    )
    parser.add_argument("name", metavar="NAME", help="lower-case letters, digits and dashes, such as acme-jobs")
    parser.add_argument("--title", metavar="TEXT", help="the title of the pages, such as 'Acme jobs'")
    parser.add_argument("--accent", metavar="COLOUR", help="the accent of the light scheme, such as '#0b6b4f'")
    return parser


if __name__ == "__main__":
    sys.exit(main())
