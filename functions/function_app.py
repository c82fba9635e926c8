"""The Azure Functions app that the host indexes."""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path

import azure.functions as func

from api.app import create_api
from services import services
from settings import SettingsError
from triggers import register_triggers

_HERE = Path(__file__).resolve().parent
#: Next to this file in the deployed package, one folder up in the repository.
_WEB = _HERE / "web" if (_HERE / "web").is_dir() else _HERE.parent / "web"
_BAD_CONFIGURATION = 78  # EX_CONFIG of sysexits.h

# at DEBUG the bridge between host and ASGI logs complete responses, including tokens
if logging.getLogger().getEffectiveLevel() < logging.INFO:
    logging.getLogger().setLevel(logging.INFO)

try:
    _services = services()
    _api = create_api(_services, web=_WEB)
    app = func.AsgiFunctionApp(app=_api, http_auth_level=func.AuthLevel.ANONYMOUS)
    register_triggers(app, _services.manager)
except SettingsError as exc:
    print(f"Invalid settings, the app cannot start:\n{exc}", file=sys.stderr, flush=True)  # noqa: T201 (logging may be off)
    raise SystemExit(_BAD_CONFIGURATION) from exc
except TypeError as exc:  # an invalid declaration of a kind or a route; the traceback shows where
    traceback.print_exception(exc)
    print(f"Invalid declaration of a kind or a route, the app cannot start:\n{exc}", file=sys.stderr, flush=True)  # noqa: T201 (logging may be off)
    raise SystemExit(_BAD_CONFIGURATION) from exc
