"""Runs a module that needs settings of servers which are still starting: it imports first and runs when they are known.

    python -m tools.local_stack.deferred_start MODULE [ARGUMENT ...]

The settings come as one line of JSON on standard input and go into the environment. What the user writes (functions/)
is imported only after that, as on Azure. Ends without a word when the input ends before that line.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module

#: Takes longest of all that the function app imports.
IMPORTED_EARLY = ("fastapi", "queued_jobs")


def main() -> None:
    name, arguments = sys.argv[1], sys.argv[2:]
    for early in IMPORTED_EARLY:
        import_module(early)
    module = import_module(name)
    settings = sys.stdin.readline()
    if not settings:
        return
    os.environ.update(json.loads(settings))
    sys.argv = [name, *arguments]
    module.main()


if __name__ == "__main__":
    main()
