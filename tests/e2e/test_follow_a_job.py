"""Pages of their own that follow a job: the page and the components that the documentation shows."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Noise
from tests.e2e.test_bell_frameworks import EXAMPLE, PAGE, SCRIPT, SESSION, Traffic, sockets_of
from tests.support.bell import Bell
from tests.support.client import Person
from tests.support.site import Site, stack_for
from tests.support.waiting import wait_until
from tools.docs_and_samples.staged_jobs import Stage
from tools.local_stack.node import find_node
from tools.local_stack.stack import Stack

Visitor = Callable[..., Page]

HERE = Path(__file__).parent / "frameworks"
GUIDE = Path(__file__).resolve().parents[2] / "docs/how-to/follow-a-job.md"
#: Of the page that the guide promises to be small.
LINES = 30


@pytest.fixture(scope="module")
def examples() -> dict[str, str]:
    found = {found["name"]: found["code"] for found in EXAMPLE.finditer(GUIDE.read_text())}
    assert set(found) == {"follow.html", "follow.js", "JobLog.jsx", "JobLog.vue"}
    return found


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture(scope="module")
def stack(site: Site, examples: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("frameworks")
    with stack_for(site) as stack:
        own = {name: code.replace("https://jobs.example", site.app) for name, code in examples.items()}
        site.files |= {f"/{name}": own[name] for name in ("follow.html", "follow.js")} | {"/session.js": SESSION}
        for name in ("JobLog.jsx", "JobLog.vue"):
            (folder / name).write_text(own[name])
        for entry in ("react-log.jsx", "vue-log.js"):
            name = entry.partition(".")[0]
            (folder / entry).write_text((HERE / entry).read_text())
            command = [find_node(), str(HERE / "bundle.mjs"), str(folder), entry, f"{name}.bundle.js"]
            subprocess.run(command, check=True, timeout=120)
            site.files[f"/{name}.js"] = (folder / f"{name}.bundle.js").read_text()
            site.files[f"/{name}.html"] = PAGE.format(scripts=SCRIPT.format(f"/{name}.js"))
        yield stack


def open_page(visitor: Visitor, url: str, token: str | None) -> Page:
    page = visitor("about:blank")
    page.add_init_script(f"globalThis.token = {token!r};" if token else "globalThis.token = null;")
    page.goto(url)
    return page


def test_the_page_of_the_guide_is_small_and_follows_a_job(
    visitor: Visitor, site: Site, stack: Stack, stage: Stage, ann: Person, examples: dict[str, str], noise: Noise
) -> None:
    assert sum(len(examples[name].splitlines()) for name in ("follow.html", "follow.js")) < LINES + 1
    key = stage.put(ann.user_id, "running", progress=0.25)
    stage.emit(key, "first <b>line</b>")
    page = open_page(visitor, f"{site.origin}/follow.html?job={key}", ann.token)
    expect(page.locator("#status")).to_have_text("Zip of reports: running")
    expect(page.locator("#log")).to_have_text("first <b>line</b>\n")
    stage.send("chunks", stage.emit(key, "second", "third"), ann.user_id)
    expect(page.locator("#log")).to_have_text("first <b>line</b>\nsecond\nthird\n")
    page.reload()
    expect(page.locator("#log")).to_have_text("first <b>line</b>\nsecond\nthird\n")
    stage.emit(key, "last, not pushed")
    stage.change(key, "succeeded")
    expect(page.locator("#status")).to_have_text("Zip of reports: succeeded")
    expect(page.locator("#log")).to_contain_text("last, not pushed")
    wait_until(lambda: sockets_of(stack, ann.user_id) == 0, "the connection closes with the last loop")


def test_the_page_says_what_another_user_may_not_follow(
    visitor: Visitor, site: Site, stage: Stage, ann: Person, noise: Noise
) -> None:
    noise.expect("status of 404")
    key = stage.put("somebody else", "running")
    stage.emit(key, "secret")
    page = open_page(visitor, f"{site.origin}/follow.html?job={key}", ann.token)
    expect(page.locator("#status")).not_to_be_empty()
    expect(page.locator("#log")).to_be_empty()


@pytest.mark.parametrize("framework", ["react", "vue"])
def test_components_of_the_guide_share_one_connection_with_the_bell(
    visitor: Visitor, site: Site, stack: Stack, stage: Stage, ann: Person, noise: Noise, framework: str
) -> None:
    keys = [stage.put(ann.user_id, "running") for _ in range(2)]
    page = open_page(visitor, "about:blank", ann.token)
    traffic = Traffic(page)
    page.goto(f"{site.origin}/{framework}-log.html")
    page.evaluate("(ids) => show(...ids, ids[0])", [str(key) for key in keys])
    logs = page.locator("pre")
    stage.send("chunks", stage.emit(keys[0], "to the first"), ann.user_id)
    stage.send("chunks", stage.emit(keys[1], "to the second"), ann.user_id)
    expect(logs).to_contain_text(["to the first", "to the second", "to the first"])
    page.evaluate("async (url) => { await import(url); }", f"{site.app}/js/job-bell.js")
    page.evaluate("document.body.append(document.createElement('job-bell'))")
    bell = Bell(page)
    bell.open()
    bell.expect_live()
    expect(bell.rows).to_have_count(2)
    assert traffic.counts[:2] == (1, 1)
    bell.close()
    page.evaluate("document.querySelector('job-bell').remove(); show()")
    wait_until(lambda: sockets_of(stack, ann.user_id) == 0, "nothing is read for components that are gone")
    assert noise.heard == []


def test_a_loop_stops_when_its_user_signs_out(
    visitor: Visitor, site: Site, stage: Stage, ann: Person, noise: Noise
) -> None:
    key = stage.put(ann.user_id, "running")
    stage.emit(key, "for ann")
    page = open_page(visitor, f"{site.origin}/follow.html?job={key}", ann.token)
    expect(page.locator("#log")).to_contain_text("for ann")
    page.evaluate("async (url) => { (await import(url)).openJobs({ getToken: null }); }", f"{site.app}/js/feed/jobs.js")
    expect(page.locator("#status")).to_have_text(re.compile("user"))
