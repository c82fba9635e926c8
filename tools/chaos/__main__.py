"""The `scripts/chaos` command."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.chaos.audit import Audit
from tools.chaos.report import describe, write_report
from tools.chaos.run import run
from tools.chaos.scenarios import MIXED, NAMES, SCENARIOS, choose_seed, minimise, plan_for
from tools.chaos.schedule import Plan
from tools.chaos.view import View
from tools.local_stack.app_servers import ROOT
from tools.local_stack.errors import Interrupted, LocalRunError
from tools.local_stack.signals import stop_on_signals
from tools.local_stack.state import temporary_folder

REPORTS = ROOT / ".local" / "chaos"
_MINIMISE_TRIES = 12
_FAILED, _INTERRUPTED = 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 if every promise held, 1 if one did not."""
    options = _parser().parse_args(arguments)
    logging.disable()  # the load could not do many things, which is the purpose of a run
    if options.list:
        for name, scenario in SCENARIOS.items():
            print(f"{name:<22}{scenario.promise}")
        return 0
    plan = _plan(options)
    print(f"seed {plan.seed}: {plan.scenario}, {plan.jobs} jobs in {plan.seconds:g} s, {len(plan.faults)} faults")
    folder: Path = options.report or REPORTS / f"{plan.scenario}-{plan.seed}"
    try:
        audit = _run(plan, folder / "logs")
        path = write_report(audit, folder)
        print("\n".join(describe(audit)))
        print(f"\nreport: {path}")
        if audit.passed:
            return 0
        print(f"repeat it: ./scripts/chaos --schedule {folder / 'schedule.json'}")
        if options.minimise:
            smaller = minimise(plan, lambda smaller: not _run(smaller).passed, tries=_MINIMISE_TRIES)
            smaller.write(folder / "smallest.json")
            print(f"{len(smaller.faults)} faults still fail: {folder / 'smallest.json'}")
    except Interrupted:
        return _INTERRUPTED
    except LocalRunError as error:
        print(error, file=sys.stderr)
    return _FAILED


def _run(plan: Plan, logs: Path | None = None) -> Audit:
    view = View()
    with temporary_folder() as folder, stop_on_signals(impatient=lambda: None) as stop:
        try:
            return run(plan, folder, show=view, stop=stop, logs=logs)
        finally:
            view.close()


def _plan(options: argparse.Namespace) -> Plan:
    if options.schedule:
        return Plan.read(options.schedule)
    return plan_for(
        options.scenario,
        seed=choose_seed() if options.seed is None else options.seed,
        jobs=options.jobs,
        seconds=options.minutes * 60 if options.minutes else None,
        processes=options.hosts,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/chaos",
        description="Run jobs of all sorts on the real services, while processes are killed, Postgres is restarted and "
        "the network fails, and check that every accepted job ended once, with the right result.",
        epilog="Times are shorter than in production: see tools/chaos/constants.py.",
    )
    parser.add_argument("--scenario", choices=NAMES, default=MIXED, metavar="NAME", help="see --list (default: mixed)")
    parser.add_argument("--list", action="store_true", help="list the scenarios and what they try")
    parser.add_argument("--jobs", type=_positive, metavar="N", help="how many jobs to start (mixed: 600)")
    parser.add_argument("--minutes", type=float, metavar="M", help="for how long to start jobs (mixed: 25 a second)")
    parser.add_argument("--seed", type=int, metavar="N", help="repeat the choices of a run (default: random)")
    parser.add_argument("--hosts", type=_positive, metavar="N", help="how many processes run jobs (mixed: 4)")
    parser.add_argument("--schedule", type=Path, metavar="FILE", help="repeat a run from its schedule.json")
    parser.add_argument(
        "--minimise", action="store_true", help="if it fails, look for a smaller set of faults that also fails"
    )
    parser.add_argument("--report", type=Path, metavar="FOLDER", help="where to write the report (.local/chaos/)")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
