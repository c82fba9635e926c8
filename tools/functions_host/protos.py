"""The messages between host and worker, named as in Microsoft's FunctionRpc.proto, without protobuf.

The worker library builds and reads messages by their attributes alone, so it takes this module for its `protos`. What
the host sends is a dataclass. Of what the worker builds, only the parts that the host reads are declared.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedData:
    """A value passed between host and worker; at most one field is set."""

    string: str | None = None
    bytes: builtins.bytes | None = None
    json: str | None = None
    http: RpcHttp | None = None
    int: builtins.int | None = None
    double: float | None = None

    def WhichOneof(self, group: str) -> str | None:  # noqa: N802 (protobuf's name)
        """Return the name of the field that is set."""
        return next((name for name in self.__slots__ if getattr(self, name) is not None), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterBinding:
    """The value of one binding, by the name of its parameter."""

    name: str
    data: TypedData

    def WhichOneof(self, group: str) -> str:  # noqa: N802 (protobuf's name)
        """Return where the value is: always in the message itself, not in shared memory."""
        return "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcHttp:
    """A request or a response; the body of either is bytes. `params` are the parameters of the route."""

    method: str = ""
    url: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    status_code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Sequence[RpcHttpCookie] | None = None
    enable_content_negotiation: bool = False
    body: TypedData | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Nullable[Value]:
    """An optional value: None if it is missing."""

    value: Value


NullableString = Nullable[str]
NullableBool = Nullable[bool]
NullableDouble = Nullable[float]
NullableTimestamp = Nullable["Timestamp"]


class Timestamp(SimpleNamespace):
    """A moment, in whole seconds since 1970 in UTC."""

    seconds: int


class RpcHttpCookie(SimpleNamespace):
    """A cookie of a response. `SameSite` is a namespace because a class cannot define an attribute named None."""

    SameSite = SimpleNamespace(**{"None": None, "Lax": "lax", "Strict": "strict", "ExplicitNone": "none"})

    name: str
    value: str
    domain: Nullable[str] | None
    path: Nullable[str] | None
    expires: Nullable[Timestamp] | None
    secure: Nullable[bool] | None
    http_only: Nullable[bool] | None
    same_site: str | None
    max_age: Nullable[float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcTraceContext:
    """The W3C trace context of an invocation."""

    trace_parent: str
    trace_state: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryContext:
    """The retry state of an invocation: always empty, since this host does not support retry policies."""

    retry_count: int = 0
    max_retry_count: int = 0
    exception: RpcException | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvocationRequest:
    """Run a function once."""

    invocation_id: str
    function_id: str
    input_data: Sequence[ParameterBinding]
    trigger_metadata: Mapping[str, TypedData]
    trace_context: RpcTraceContext
    retry_context: RetryContext = field(default_factory=RetryContext)


class InvocationResponse(SimpleNamespace):
    """The outcome of a run; values only if it succeeded."""

    result: StatusResult
    return_value: TypedData | None = None
    output_data: Sequence[ParameterBinding] = ()


class StatusResult(SimpleNamespace):
    """The outcome of a request to the worker: `exception` is None if it succeeded."""

    Failure, Success, Cancelled = 0, 1, 2

    exception: RpcException | None = None


class RpcException(SimpleNamespace):
    """An error in the worker; the message begins with the name of the exception's class."""

    message: str
    stack_trace: str


class WorkerInitResponse(SimpleNamespace):
    """Whether the worker has indexed the app, and its capabilities."""

    capabilities: Mapping[str, str]
    result: StatusResult


class FunctionEnvironmentReloadResponse(SimpleNamespace):
    """Whether the worker has been specialized for an app."""

    result: StatusResult


class FunctionMetadataResponse(SimpleNamespace):
    """All functions of the app; None where its folder has no script of functions, or that has none."""

    function_metadata_results: Sequence[RpcFunctionMetadata] | None


class RpcFunctionMetadata(SimpleNamespace):
    """One function that the worker has indexed; each of `raw_bindings` is a JSON object."""

    name: str
    function_id: str
    raw_bindings: Sequence[str]
    retry_options: RpcRetryOptions | None


class BindingInfo(SimpleNamespace):
    """The common parts of all bindings, for a worker that does not index; this host reads the raw bindings instead."""

    undefined, out, inout = 0, 1, 2


class RpcRetryOptions(SimpleNamespace):
    """The retry policy of a function."""


class WorkerMetadata(SimpleNamespace):
    """Identifies the worker."""
