"""The page on the architecture shows the imports as they are, and no modules import each other in a circle."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import pytest

from tools.docs_and_samples import architecture


def test_the_picture_is_the_one_of_the_imports() -> None:
    assert architecture.PAGE.read_text() == architecture.page(), "run: python -m tools.docs_and_samples.architecture"


def test_no_circle() -> None:
    """Also among the modules of functions/, which import-linter takes for packages from outside."""
    graph = architecture.imports()
    TopologicalSorter(graph).prepare()  # raises CycleError, with the circle
    TopologicalSorter(architecture.boxes(graph)).prepare()
    assert "functions/services.py" in graph["functions/function_app.py"]
    with pytest.raises(CycleError):
        TopologicalSorter(graph | {"functions/settings.py": {"functions/function_app.py"}}).prepare()


def test_every_box_holds_a_module() -> None:
    graph = architecture.imports()
    for box in architecture.BOXES.values():
        places = [place for place, other in architecture.BOXES.items() if other == box]
        assert any(path.startswith(tuple(places)) for path in graph), box
