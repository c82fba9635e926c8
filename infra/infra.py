"""Lets Pulumi import this folder as the package `infra`, and the library next to it.

Pulumi starts the program, and the process of its dynamic resources, in this folder: there `import infra` finds this
file. Everywhere else it finds the package.
"""

from __future__ import annotations

import sys
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent

__path__ = [str(_FOLDER)]
if str(_FOLDER.parent) not in sys.path:
    sys.path.append(str(_FOLDER.parent))
