"""Rules for settings in pydantic models: report every problem, and never a secret."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, ValidationInfo
from pydantic_core import PydanticCustomError

from queued_jobs.redact import mask_secrets


class SettingsModel(BaseModel):
    """Settings by their external names. The validation context is the mapping of all settings."""

    model_config = ConfigDict(frozen=True, validate_by_name=True, hide_input_in_errors=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingProblem:
    """A setting that is not valid.

    Attributes
    ----------
    code
        Identifies the violated rule, for programs.
    message
        The problem, and after a semicolon the remedy. Contains no secret.
    """

    name: str
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.name}: {self.message}."


def require(
    is_valid: Callable[[Any], bool],
    code: str,
    message: str,
    *,
    when: Callable[[Mapping[str, Any]], bool] = lambda given: True,
) -> AfterValidator:
    """Return a rule for `Annotated`.

    `{value}` in the message becomes the masked value. The rule applies only if `when` returns true for the mapping of
    all settings.
    """

    def check(value: Any, info: ValidationInfo) -> Any:
        if when(info.context or {}) and not is_valid(value):
            raise rejection(code, message.replace("{value}", repr(mask_secrets(str(value)))))
        return value

    return AfterValidator(check)


def matches(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    """Return a predicate for `require`: whether the whole text matches."""
    return lambda text: pattern.fullmatch(text) is not None


def rejection(code: str, message: str) -> PydanticCustomError:
    """Return the error that a validator of a `SettingsModel` should raise."""
    # through the context, since braces in the message would be parsed as placeholders
    return PydanticCustomError(code, "{message}", {"message": message})


def problems_of(error: ValidationError, *, missing: str) -> list[SettingProblem]:
    """Return all problems in the order of the fields; `missing` is the remedy for a missing setting."""
    problems = []
    for details in error.errors(include_url=False):
        code, context, value = details["type"], details.get("ctx", {}), mask_secrets(str(details["input"]))
        name = next(part for part in reversed(details["loc"]) if isinstance(part, str))
        if "message" in context:
            message = context["message"]
        elif code == "missing":
            message = f"is missing; {missing}"
        elif code == "literal_error":
            message = f"{value!r} is not known; use {context['expected'].replace(chr(39), '')}"
        else:
            message = f"{value!r} has the wrong type; {context.get('error', 'correct it')}"
        problems.append(SettingProblem(name=name, code=code, message=message))
    return problems
