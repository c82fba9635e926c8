"""Lets Pulumi import this folder as the package `infra`, and the library next to it.

Pulumi runs the program and its dynamic-resource process with this folder as the working directory, where
`import infra` resolves to this file. Elsewhere it resolves to the package.
"""

from __future__ import annotations

import sys
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent

__path__ = [str(_FOLDER)]
if str(_FOLDER.parent) not in sys.path:
    sys.path.append(str(_FOLDER.parent))
