"""The OpenAPI document says what the running app does, whatever it is sent."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.security.conftest import ROOM, Attacks, Site, another_host, running
from tests.support.issuer import Issuer
from tests.support.product import running_product

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
    "ignored_auth",
)
#: The time for requests, so that a slow machine sends fewer of them. In manual runs: minutes, and thousands.
SECONDS = 30


@pytest.fixture
def own(issuer: Issuer) -> Iterator[Site]:
    """A site over a system of its own: an admin's random requests also pause kinds, for all that share it."""
    with (
        running_product() as stack,
        running(another_host(stack, **ROOM, **issuer.settings)) as host,
        closing(Site(host, stack, issuer)) as site,
    ):
        yield site


def test_the_document_is_true(own: Site, attacks: Attacks, tmp_path: Path) -> None:
    report = tmp_path / "events.ndjson"
    options = [
        f"--header=Authorization: Bearer {own.token('admin')}",
        f"--checks={','.join(CHECKS)}",
        f"--max-time={SECONDS}",
        "--request-timeout=60",
        "--continue-on-failure",
        "--suppress-health-check=all",
        "--no-color",
        "--report=ndjson",
        f"--report-ndjson-path={report}",
    ]
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{own.host.page_url}api/openapi.json", *options]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stdout[-6_000:] + ended.stderr[-2_000:]
    sent = report.read_text().count('"status_code"')
    assert sent > 50, ended.stdout[-2_000:]
    attacks.note("A25", "requests made up from the document, 0 failures", ["as documented"] * sent)


def test_every_operation_is_complete(site: Site) -> None:
    for method, path, operation in site.operations():
        public = path in ("/api/session", "/api/health")
        assert ("security" in operation) != public, (method, path)
        assert operation["responses"].keys() >= {"4XX", "5XX"}
    text = json.dumps(site.document)
    assert "HTTPValidationError" not in json.dumps(site.document["paths"])
    assert '"links"' in text
