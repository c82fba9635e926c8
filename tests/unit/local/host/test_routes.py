from __future__ import annotations

from typing import Any

import pytest

from tools.functions_host.errors import FunctionLoadError
from tools.functions_host.functions import Function
from tools.functions_host.routes import Route, is_reserved, make_route


def _route(template: str, *, prefix: str = "api", **trigger: Any) -> Route:
    binding = {"type": "httpTrigger", "name": "req", "route": template, **trigger}
    function = Function(name="f", id="an id", trigger=binding, outputs={})
    return make_route(function, prefix)


@pytest.mark.parametrize(
    ("template", "path", "parameters"),
    [
        ("jobs", "/api/jobs", {}),
        ("jobs", "/api/jobs/", {}),
        ("jobs", "/jobs", None),
        ("jobs", "/api/jobs/1", None),
        ("jobs/{kind}/{id?}", "/api/jobs/zip", {"kind": "zip"}),
        ("jobs/{kind}/{id?}", "/api/jobs/zip/7", {"kind": "zip", "id": "7"}),
        ("jobs/{kind}/{id?}", "/api/jobs", None),
        ("jobs/{kind}", "/api/jobs/a b", {"kind": "a b"}),
        ("jobs/{kind}", "/api/jobs/a/b", None),
        ("jobs/{id:int}", "/api/jobs/-12", {"id": "-12"}),
        ("jobs/{id:int}", "/api/jobs/x", None),
        ("jobs/{kind:alpha}", "/api/jobs/zip", {"kind": "zip"}),
        ("jobs/{kind:alpha}", "/api/jobs/zip1", None),
        (
            "jobs/{id:guid}",
            "/api/jobs/0190b3c4-1111-7abc-8def-0123456789ab",
            {"id": "0190b3c4-1111-7abc-8def-0123456789ab"},
        ),
        ("files/{*path}", "/api/files/a/b", {"path": "a/b"}),
        ("files/{*path}", "/api/files", {}),
        ("a.b", "/api/axb", None),
    ],
)
def test_matching(template: str, path: str, parameters: dict[str, str] | None) -> None:
    assert _route(template).match("GET", path) == parameters


@pytest.mark.parametrize(("path", "rest"), [("/", {}), ("/api/x", {"route": "api/x"}), ("/a\nb", {"route": "a\nb"})])
def test_the_catch_all_of_an_asgi_app(path: str, rest: dict[str, str]) -> None:
    assert _route("/{*route}", prefix="").match("GET", path) == rest


def test_an_undeclared_method_is_no_match() -> None:
    route = _route("jobs", methods=["POST"])
    assert route.match("POST", "/api/jobs") == {}
    assert route.match("GET", "/api/jobs") is None
    assert _route("jobs").match("HEAD", "/api/jobs") == {}


def test_the_specific_comes_before_the_general() -> None:
    templates = ["jobs/{*rest}", "jobs/{id}", "jobs/{id:int}", "jobs/mine"]
    routes = sorted((_route(template) for template in templates), key=lambda route: route.precedence)
    found = [route.function.trigger["route"] for route in routes]
    assert found == ["jobs/mine", "jobs/{id:int}", "jobs/{id}", "jobs/{*rest}"]


def test_a_leading_slash_needs_an_empty_prefix() -> None:
    with pytest.raises(FunctionLoadError, match=r"template 'api//\{\*route\}'; set extensions\.http\.routePrefix"):
        _route("/{*route}")


@pytest.mark.parametrize("template", ["admin", "Admin/jobs", "administration/{id}", "runtime", "/runtime/x"])
@pytest.mark.parametrize("prefix", ["", "api"])
def test_reserved_templates(template: str, prefix: str) -> None:
    with pytest.raises(FunctionLoadError):
        _route(template, prefix=prefix)


@pytest.mark.parametrize("template", ["{a:regex(x)}", "{a:range}", "x{a}", "{a=5}", "{*rest}/x", "{a?}/x", "{a}/{a}"])
def test_templates_that_this_host_does_not_know(template: str) -> None:
    with pytest.raises(FunctionLoadError, match=r"'f' function: .*route"):
        _route(template)


@pytest.mark.parametrize("path", ["/admin", "/admin/", "/ADMIN/foo", "/runtime", "/runtime/x/y", "//admin/x"])
def test_reserved_paths(path: str) -> None:
    assert is_reserved(path)


@pytest.mark.parametrize("path", ["/", "/api/admin/stats", "/administrator", "/runtimefoo", "/x/admin"])
def test_paths_that_are_not_reserved(path: str) -> None:
    assert not is_reserved(path)
