"""Says while tests run on several workers how far they are, and at the end which files took the longest."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from heapq import nlargest
from operator import itemgetter

import pytest

from tests.plugins.times import expected_times, keep

EVERY_SECONDS = 30.0
#: A test that takes longer is named meanwhile.
LONG_SECONDS = 90.0
SHOWN = 10


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Progress(config), "progress")


class Progress:
    """Counts what is finished; with workers it takes the place of the dots."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._expected = expected_times()
        self._total: Counter[str] = Counter()
        self._finished: Counter[str] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._running: dict[str, float] = {}
        self._failed = 0
        self._started = time.monotonic()
        self._over = threading.Event()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        if self._total:
            return
        self._total.update(_file(node) for node in ids)
        self._started = time.monotonic()
        threading.Thread(target=self._report_regularly, name="progress", daemon=True).start()

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Print no letters: the progress counts what passed, and names what failed."""
        if not self._total or report.skipped or hasattr(report, "wasxfail"):
            return None
        if report.failed:
            return ("failed" if report.when == "call" else "error"), "", ""
        return ("passed" if report.when == "call" else ""), "", ""

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._running[nodeid] = time.monotonic()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._running.pop(nodeid, None)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[_file(report.nodeid)] += report.duration
        self._failed += report.failed
        self._finished[_file(report.nodeid)] += report.when == "teardown"
        if self._total and report.failed:
            self._write(f"FAILED {report.nodeid} ({report.when})")

    def pytest_sessionfinish(self) -> None:
        self._over.set()
        if self._total and self._finished == self._total and not self._failed:
            keep(self._seconds)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if len(self._seconds) < SHOWN:
            return
        terminalreporter.section(f"{SHOWN} slowest files")
        for name, seconds in nlargest(SHOWN, self._seconds.items(), key=itemgetter(1)):
            terminalreporter.write_line(f"{seconds:7.1f} s  {name}")

    def _report_regularly(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            self._write(self._progress())
            for nodeid, since in dict(self._running).items():
                if (seconds := time.monotonic() - since) > LONG_SECONDS:
                    self._write(f"runs since {seconds:.0f} s: {nodeid}")

    def _progress(self) -> str:
        total, finished = self._total.total(), self._finished.total()
        passed_time = time.monotonic() - self._started
        done = sum(self._expected.get(name, 0) * count / self._total[name] for name, count in self._finished.items())
        rest = sum(self._expected.get(name, 0) for name in self._total) - done
        left = f", about {passed_time * rest / done / 60:.0f} min left" if done > 0 else ""
        failed = f", {self._failed} failed" if self._failed else ""
        return f"{finished} of {total} tests ({100 * finished // total} %) in {passed_time / 60:.1f} min{failed}{left}"

    def _write(self, line: str) -> None:
        reporter: pytest.TerminalReporter = self._config.pluginmanager.getplugin("terminalreporter")
        reporter.ensure_newline()
        reporter.write_line(f"tests    | {line}")
        reporter.flush()


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]
