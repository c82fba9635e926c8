from __future__ import annotations

import itertools
import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.local.host.index import IndexedFunction, load_functions

MakeApp = Callable[[str], list[IndexedFunction]]

_names = itertools.count(1)


@pytest.fixture
def make_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeApp:
    """Writes an app with this source, after the imports it needs, and returns its functions as the host loads them."""
    monkeypatch.setattr(sys, "path", list(sys.path))

    def make(source: str) -> list[IndexedFunction]:
        name = f"sample_app_{next(_names)}"  # a module name of its own: get_functions() works once per app
        imports = "from __future__ import annotations\nimport azure.functions as func\n"
        (tmp_path / f"{name}.py").write_text(imports + textwrap.dedent(source))
        monkeypatch.setitem(os.environ, "PYTHON_SCRIPT_FILE_NAME", f"{name}.py")
        return load_functions(tmp_path)

    return make
