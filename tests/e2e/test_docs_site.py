"""The site that `scripts/docs` builds: complete, without broken links, and without other servers."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tools.docs_site import site, sources
from tools.docs_site.__main__ import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "site"
    assert main(["--output", str(folder), "--repository", "https://code.example/jobs"]) == 0
    return folder


@pytest.fixture(scope="module")
def origin(built: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(built)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def documents() -> list[Path]:
    return [*sorted((ROOT / "docs").rglob("*.md")), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md"))]


def test_every_document_is_a_page_and_files_are_links_to_the_repository(built: Path) -> None:
    for document in documents():
        page = built / Path(sources.pages_of(ROOT)[document]).with_suffix(".html")
        assert page.is_file(), document
    text = (built / "reference" / "guarantees.html").read_text()
    assert 'href="https://code.example/jobs/tests/contract/test_attempts.py"' in text
    assert "../../" not in text


def test_every_page_opens_with_its_diagrams_and_asks_no_other_server(
    built: Path, origin: str, browser: Browser
) -> None:
    page = browser.new_page()
    requested: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    drawn = 0
    for document, name in sources.pages_of(ROOT).items():
        page.goto(f"{origin}/{Path(name).with_suffix('.html')}")
        diagrams = len(re.findall(r"^```mermaid$", document.read_text(), re.MULTILINE))
        expect(page.locator(".diagram svg")).to_have_count(diagrams)
        drawn += diagrams
    assert drawn >= 4
    assert errors == []
    assert [url for url in requested if not url.startswith((origin, "data:", "blob:"))] == []
    page.close()


def test_the_page_of_the_routes_shows_all_of_them(built: Path, origin: str, browser: Browser) -> None:
    served = json.loads(
        (built / "assets" / "openapi.js").read_text().removeprefix("globalThis.openapi = ").strip(" ;\n")
    )
    page = browser.new_page()
    page.goto(f"{origin}/reference/http-api.html")
    page.get_by_role("button", name="Reference").click()
    page.get_by_role("link", name="Routes of the HTTP API").click()
    expect(page.locator(".opblock")).to_have_count(sum(map(len, served["paths"].values())))
    assert set(page.locator(".opblock-summary-path").evaluate_all("all => all.map((one) => one.dataset.path)")) == set(
        served["paths"]
    )
    page.close()


def test_search_finds_a_page(origin: str, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"{origin}/index.html")
    page.get_by_role("link", name="Search").click()
    page.get_by_role("searchbox").or_(page.get_by_placeholder("Search")).first.press_sequentially("redrive")
    expect(page.locator("#mkdocs-search-results article").first).to_be_visible()
    page.close()


@pytest.mark.parametrize(
    "broken",
    [
        "[a](../how-to/gone.md)",
        "[a](../how-to/deploy.md#gone)",
        "[a](../../queued_jobs/gone.py)",
        "![a](../images/gone.png)",
    ],
)
def test_a_broken_link_is_refused_and_the_former_site_stays(broken: str, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(ROOT / "docs", tree / "docs")
    for entry in ROOT.iterdir():
        if entry.name != "docs":
            (tree / entry.name).symlink_to(entry)
    with (tree / "docs" / "reference" / "states.md").open("a") as page:
        page.write(f"\n{broken}\n")
    output = tmp_path / "site"
    output.mkdir()
    (output / "index.html").write_text("former")
    with pytest.raises(site.BadPage, match=r"states\.md.*gone"):
        site.build(output, root=tree)
    assert (output / "index.html").read_text() == "former"
