"""Stands in for `pulumi`: keeps configuration in the file named by FAKE_PULUMI, and logs commands and environment."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

OUTPUTS = {
    "siteUrl": "https://func.azurewebsites.net",
    "openUrl": "https://func.azurewebsites.net/#invite=guests",
    "adminUrl": "https://func.azurewebsites.net/#invite=admins",
    "portalUrl": "https://portal.azure.com/#@t",
}


def main(command: list[str]) -> int:
    """Carry out one command."""
    file = Path(os.environ["FAKE_PULUMI"])
    kept: dict[str, Any] = json.loads(file.read_text())
    kept["log"].append(command)
    kept["environment"] = {
        key: value for key, value in os.environ.items() if key.startswith("PULUMI_") or key == "PATH"
    }
    code = 0
    match command:
        case ["version"]:
            _print(kept["version"])
        case ["whoami", *_]:
            code = 0 if kept["logged_in"] else 1
            _print(json.dumps({"user": "ann", "url": "https://api.pulumi.com"}) if kept["logged_in"] else "")
        case ["config", "--json", *_]:
            _print(json.dumps({key: _entry(value) for key, value in kept["config"].items()}))
        case ["config", "set", "--path", path, value, *_]:
            key, _, number = path.rstrip("]").partition("[")
            kept["config"].setdefault(key, [])[int(number) : int(number) + 1] = [value]
        case ["config", "set", key, value, *_]:
            kept["config"][key] = value
        case ["config", "rm", "--path", path, *_]:
            key, _, number = path.rstrip("]").partition("[")
            del kept["config"][key][int(number)]
        case ["config", "rm", key, *_]:
            kept["config"].pop(key, None)
        case ["stack", "export", *_]:
            _print(json.dumps({"version": 3, "deployment": {"resources": kept.get("resources", [])}}))
        case ["up", *_]:
            code = kept["up"]
            kept["resources"] = [{"urn": "urn:pulumi:dev::a-project::pulumi:pulumi:Stack::a-project-dev"}]
        case ["stack", "output", *_]:
            _print(
                json.dumps(OUTPUTS if kept["by_invite"] else {key: OUTPUTS[key] for key in ("siteUrl", "portalUrl")})
            )
    file.write_text(json.dumps(kept))
    return code


def _entry(value: Any) -> dict[str, Any]:
    """Return a value of the configuration as `pulumi config --json` shows it."""
    return {"value": value} if isinstance(value, str) else {"value": json.dumps(value), "objectValue": value}


def _print(text: str) -> None:
    print(text)  # noqa: T201 (what pulumi does)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
