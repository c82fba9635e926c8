"""The `scripts/screenshots` command: takes screenshots of the bell and the dashboard, from a separate system."""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urljoin

from playwright.sync_api import Browser, BrowserContext, FilePayload, FloatRect, Page, expect, sync_playwright

from tools.docs_and_samples import bell_states, dashboard_states
from tools.docs_and_samples.apng import animated
from tools.docs_and_samples.chromium import find_or_install
from tools.docs_and_samples.staged_jobs import Stage
from tools.local_stack.errors import LocalRunError
from tools.local_stack.stack import Stack, StackOptions
from tools.local_stack.state import State, temporary_folder
from tools.test_app.folder import make_app

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs" / "images"
ALL = ROOT / "test-results" / "states"
SCHEMES = ("light", "dark")
WIDTHS = (1280, 640, 320)
LARGEST = 300_000

_HEIGHT = 800
_PATIENCE = 180_000.0
#: Maximum size of a file: larger animations take too long to load.
_MAX_FRAMES = 9
#: The part of the page in which the bell and its open panel are.
_BELL: FloatRect = {"x": 692, "y": 0, "width": 480, "height": 716}
_JOB: FloatRect = {"x": 692, "y": 0, "width": 480, "height": 270}


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A browser with a running system."""

    browser: Browser
    stack: Stack
    stage: Stage

    @contextmanager
    def page(self, scheme: str, *, admin: bool = False) -> Iterator[Page]:
        """Open the page as a new user, signed in."""
        light = "dark" if scheme == "dark" else "light"
        viewport = {"width": WIDTHS[0], "height": _HEIGHT}
        context: BrowserContext = self.browser.new_context(color_scheme=light, viewport=viewport)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(self.stack.admin_url if admin else self.stack.guest_url)
        expect(page.locator("#user")).not_to_be_empty(timeout=_PATIENCE)
        yield page
        context.close()

    def show_bell(self, page: Page, state: str) -> None:
        session = page.evaluate("JSON.parse(sessionStorage.getItem('queued-jobs.session'))")
        bell_states.show(page, state, self.stage, session["user"]["id"])

    def documentation(self) -> None:
        """Take the screenshots of the README and the docs."""
        DOCS.mkdir(parents=True, exist_ok=True)
        for scheme in SCHEMES:
            with self.page(scheme) as page:
                self.show_bell(page, "every-status")
                page.screenshot(path=DOCS / f"bell-{scheme}.png", clip=_BELL)
            with self.page(scheme) as page:
                _keep(DOCS / f"running-job-{scheme}.png", self.running_job(page))
            with self.page(scheme, admin=True) as page:
                page.goto(urljoin(page.url, "/dashboard.html"))
                for state in ("list", "statistics"):
                    dashboard_states.show(page, state)
                    page.screenshot(path=DOCS / f"dashboard-{state}-{scheme}.png")

    def running_job(self, page: Page) -> bytes:
        """Start a job and record the bell until it has ended, as an animation."""
        dice = random.Random(1)  # noqa: S311 (content that cannot be zipped well)
        page.locator("input[type=file]").set_input_files(
            [
                FilePayload(name=f"scan-{number:02}.tif", mimeType="image/tiff", buffer=dice.randbytes(1_000_000))
                for number in range(40)
            ]
        )
        page.get_by_label("Name").fill("scans")
        page.get_by_role("button", name="Zip ").click()
        bell = page.get_by_role("button", name="Background jobs, 1 running")
        expect(bell).to_be_visible(timeout=_PATIENCE)
        bell.click()
        frames: list[tuple[bytes, float]] = []
        while not frames or page.locator("job-bell li.row[data-status=succeeded]").count() == 0:
            frames.append((page.screenshot(clip=_JOB), time.monotonic()))
            page.wait_for_timeout(250)
        page.wait_for_timeout(500)
        step = max(1, -(-len(frames) // _MAX_FRAMES))
        frames = [*frames[::step], (page.screenshot(clip=_JOB), time.monotonic())]
        ends = [*(taken for _, taken in frames[1:]), frames[-1][1] + 4]
        timed = [(picture, timedelta(seconds=end - taken)) for (picture, taken), end in zip(frames, ends, strict=True)]
        return animated(timed)

    def everything(self) -> None:
        """Take each state at each width in light and dark, for manual review."""
        ALL.mkdir(parents=True, exist_ok=True)
        for scheme in SCHEMES:
            for state in bell_states.STATES:
                with self.page(scheme) as page:
                    self.show_bell(page, state)
                    _at_all_widths(page, f"bell-{state}-{scheme}")
            with self.page(scheme, admin=True) as page:
                page.goto(urljoin(page.url, "/dashboard.html"))
                for state in dashboard_states.STATES:
                    page.set_viewport_size({"width": WIDTHS[0], "height": _HEIGHT})
                    dashboard_states.show(page, state)
                    _at_all_widths(page, f"dashboard-{state}-{scheme}")


def _at_all_widths(page: Page, name: str) -> None:
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": _HEIGHT})
        page.screenshot(path=ALL / f"{name}-{width}.png")


def _keep(path: Path, picture: bytes) -> None:
    path.write_bytes(picture)


@contextmanager
def _camera() -> Iterator[Camera]:
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with temporary_folder() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_or_install(), args=["--disable-gpu", *sandbox])
        stack = Stack(State(folder), StackOptions(durable=False, app=make_app(folder / "app")))
        try:
            stack.start()
            with Stage(stack.settings()) as stage:
                yield Camera(browser=browser, stack=stack, stage=stage)
        finally:
            stack.stop()
            stack.delete_data()
            browser.close()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/screenshots", description=__doc__)
    parser.add_argument("--all", action="store_true", help=f"each state at each width, in {ALL.relative_to(ROOT)}")
    options = parser.parse_args(arguments)
    try:
        return _take(options.all)
    except LocalRunError as error:
        print(f"screenshots: {error}", file=sys.stderr)
        return 1


def _take(everything: bool) -> int:
    with _camera() as camera:
        jobs = [
            "-m",
            "tools.sample_jobs.generate_jobs",
            camera.stack.database_url,
            "--jobs",
            "3000",
            "--days",
            "3",
        ]
        subprocess.run([sys.executable, *jobs], cwd=ROOT, check=True)
        if everything:
            camera.everything()
        else:
            camera.documentation()
    taken = sorted((ALL if everything else DOCS).glob("*.png"))
    for picture in taken:
        print(f"{picture.stat().st_size:8,} {picture.relative_to(ROOT)}")
    too_large = [picture.name for picture in taken if not everything and picture.stat().st_size > LARGEST]
    if too_large:
        print(f"larger than {LARGEST:,} bytes: {', '.join(too_large)}", file=sys.stderr)
    return 1 if too_large else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
