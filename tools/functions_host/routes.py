"""The routes of HTTP functions: ASP.NET templates as patterns, tried in the host's order."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tools.functions_host.errors import FunctionLoadError
from tools.functions_host.functions import Function

ALL_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"})
_RESERVED = re.compile(r"/*(admin|runtime)(/|$)", re.IGNORECASE)
_PARAMETER = re.compile(r"\{(?P<star>\*{0,2})(?P<name>\w+)(?::(?P<constraint>\w+))?(?P<optional>\?)?\}")
_CONSTRAINTS = {
    "alpha": "[A-Za-z]+",
    "bool": "(?i:true|false)",
    "decimal": r"[+-]?\d+(?:\.\d+)?",
    "double": r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?",
    "float": r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?",
    "guid": r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
    "int": r"[+-]?\d+",
    "long": r"[+-]?\d+",
}
_LITERAL, _CONSTRAINED, _FREE, _CATCH_ALL = range(4)


def is_reserved(path: str) -> bool:
    """Return whether the host reserves this request path: /admin, /runtime and all below, in any case."""
    return _RESERVED.match(path) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One HTTP function's template, ready to match decoded paths; `precedence` sorts specific before general."""

    function: Function
    methods: frozenset[str]
    pattern: re.Pattern[str]
    precedence: tuple[int, ...]
    is_anonymous: bool

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The route parameters, without absent optional parameters; None if path or method does not match.

        A method that is not declared does not match, so the response is 404 and not 405, as in the real host.
        """
        match = self.pattern.fullmatch(path.strip("/"))
        if match is None or method not in self.methods:
            return None
        return {name: value for name, value in match.groupdict().items() if value}


def make_route(function: Function, prefix: str) -> Route:
    """Read the function's template below the route prefix; raises FunctionLoadError if it is not valid."""
    template = str(function.trigger.get("route", function.name))
    if prefix and template.startswith("/"):
        raise FunctionLoadError(
            function.name,
            f"An error occurred while creating the route with name '{function.name}' and template "
            f"'{prefix}/{template}'; set extensions.http.routePrefix to \"\" in host.json",
        )
    if template.strip("/").lower().startswith(("admin", "runtime")):
        raise FunctionLoadError(
            function.name,
            "The specified route conflicts with one or more built in routes; do not begin with admin or runtime",
        )
    segments = [segment for segment in f"{prefix}/{template}".split("/") if segment]
    pattern, precedence = "", []
    for position, segment in enumerate(segments):
        slash = "/" if position else ""
        parameter = _PARAMETER.fullmatch(segment)
        if parameter is None:
            if set("{}") & set(segment):
                raise FunctionLoadError(function.name, f"route segment {segment!r} is not supported by this host")
            pattern += slash + re.escape(segment)
            precedence.append(_LITERAL)
            continue
        if (parameter["star"] or parameter["optional"]) and position != len(segments) - 1:
            raise FunctionLoadError(function.name, f"route segment {segment!r} must be the last segment")
        text, rank = _value(function, parameter)
        precedence.append(rank)
        group = f"{slash}(?P<{parameter['name']}>{text})"
        pattern += f"(?:{group})?" if parameter["star"] or parameter["optional"] else group
    methods = function.trigger.get("methods")
    try:
        compiled = re.compile(pattern, re.DOTALL)
    except re.error as error:
        raise FunctionLoadError(function.name, f"the parameters of route {template!r} are not valid: {error}") from None
    return Route(
        function=function,
        methods=frozenset(method.upper() for method in methods) if methods else ALL_METHODS,
        pattern=compiled,
        precedence=tuple(precedence),
        is_anonymous=str(function.trigger.get("authLevel", "FUNCTION")).upper() == "ANONYMOUS",
    )


def _value(function: Function, parameter: re.Match[str]) -> tuple[str, int]:
    constraint = parameter["constraint"]
    if constraint and constraint not in _CONSTRAINTS:
        known = ", ".join(_CONSTRAINTS)
        raise FunctionLoadError(
            function.name, f"route constraint {constraint!r} is not supported by this host; use one of {known}"
        )
    if parameter["star"]:
        return ".*", _CATCH_ALL
    return (_CONSTRAINTS[constraint], _CONSTRAINED) if constraint else ("[^/]+", _FREE)
