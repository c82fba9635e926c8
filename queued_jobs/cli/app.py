"""The command: its subcommands, and the conversion of errors to one line."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Sequence

import typer

from queued_jobs.cli import act, erase, look, periodic, work
from queued_jobs.cli.problems import FAILURE, explain

app = typer.Typer(
    name="queued-jobs",
    help="Show background jobs, act on them, and run them. Needs DATABASE_URL, and QueuesConn to wake workers "
    "immediately.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("list")(look.list_jobs)
app.command("show")(look.show)
app.command("stats")(look.stats)
app.command("workers")(look.workers)
app.command("audit")(look.audit)
app.command("retry")(act.retry)
app.command("cancel")(act.cancel)
app.command("redrive")(act.redrive)
app.command("pause")(act.pause)
app.command("resume")(act.resume)
app.command("schedules")(periodic.schedules)
app.command("run-now")(periodic.run_now)
app.command("prune")(act.prune)
app.command("erase")(erase.erase)
app.command("migrate")(act.migrate)
app.command("worker")(work.worker)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code. Each error is one line on the standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a stored name may have letters that the terminal's encoding lacks
    # the command reports the library's warnings itself, such as a message that was not sent
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        code = app(arguments, prog_name="queued-jobs", standalone_mode=False)
    except typer.Abort:
        sys.stderr.write("queued-jobs: nothing was done\n")
        return FAILURE
    except Exception as exc:  # noqa: BLE001 (the outermost handler: users need no traceback)
        message, code = explain(exc)
        if message:  # empty if the help was printed instead
            sys.stderr.write(f"queued-jobs: {message}\n")
    return code if isinstance(code, int) else 0
