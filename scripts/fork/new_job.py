"""The `scripts/new-job` command: adds a kind of job with its test and its view, or removes one."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from scripts.fork.errors import Refused

if TYPE_CHECKING:
    from scripts.fork.job_spec import JobSpec

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command: exit code 0 = done, 1 = refused and nothing changed, 2 = invalid usage."""
    options = _parser().parse_args(arguments)
    try:
        if options.remove:
            _remove(root, options.name)
        else:
            _add(root, _spec(options, _asker()))
    except Refused as error:
        print(f"new-job  | {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, EOFError):
        print("\nnew-job  | interrupted; nothing was changed", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/new-job",
        description="Add a kind of job: its file, its test, its view in the bell and a button on the demo page. "
        "In a terminal it asks for the fields that are not given.",
        epilog="A field is NAME:TYPE with str, int, float, bool, date or datetime, and ? at the end if it is optional. "
        "Example: scripts/new-job word-count --request text:str --result words:int",
    )
    parser.add_argument("name", metavar="NAME", help="lower-case letters, digits and dashes, such as word-count")
    parser.add_argument("--request", nargs="*", action="extend", metavar="FIELD", help="fields of the request")
    parser.add_argument("--result", nargs="*", action="extend", metavar="FIELD", help="fields of the result")
    parser.add_argument("--schedule", metavar="NCRONTAB", help="also start it on a schedule, such as '0 30 3 * * *'")
    parser.add_argument("--file-result", action="store_true", help="its result is a file to download")
    parser.add_argument(
        "--priorities", nargs="+", action="extend", default=[], metavar="NAME", help="additional queues, such as urgent"
    )
    parser.add_argument("--remove", action="store_true", help="remove the kind with all that belongs to it instead")
    return parser


def _asker() -> Callable[[str], str] | None:
    return input if sys.stdin.isatty() and sys.stdout.isatty() else None


def _spec(options: argparse.Namespace, ask: Callable[[str], str] | None) -> JobSpec:
    from scripts.fork import job_spec
    from scripts.fork.fields import ask_fields, read_fields

    taken = job_spec.FILE_FIELDS if options.file_result else ()
    job_spec.check_name(options.name)
    job_spec.check_priorities(options.priorities)
    schedule = options.schedule and " ".join(options.schedule.split())
    if schedule is not None:
        job_spec.check_schedule(schedule)
    given = {"request": options.request, "result": options.result}
    fields = {
        what: ask_fields(what, ask, taken=taken if what == "result" else ())
        if words is None and ask is not None
        else read_fields(words or (), taken=taken if what == "result" else ())
        for what, words in given.items()
    }
    return job_spec.JobSpec(
        kind=options.name,
        request=fields["request"],
        result=fields["result"],
        schedule=schedule,
        priorities=tuple(options.priorities),
        file_result=options.file_result,
    )


def _add(root: Path, spec: JobSpec) -> None:
    from scripts.fork.changes import Changes
    from scripts.fork.job_spec import check_free
    from scripts.fork.job_templates import action, files_of
    from scripts.fork.kinds import JOBS, find_kinds
    from scripts.fork.registration import add_lines

    check_free(spec, find_kinds(root))
    changes = Changes(root)
    files = files_of(spec)
    for name, text in files.items():
        changes.create(name, text)
    add_lines(changes, spec.kind, action(spec))
    _check_declaration(root, spec, files[f"{JOBS}/{spec.module}.py"])
    changes.apply()
    for name in changes.names:
        print(f"new-job  | {'wrote' if name in files else 'changed'} {name}")
    print(f"new-job  | next: edit on_execute in {JOBS}/{spec.module}.py, and start it with its button on the demo page")


def _check_declaration(root: Path, spec: JobSpec, source: str) -> None:
    """Import the file of the job before it is written. Raises Refused for what the library does not accept."""
    name = f"jobs.{spec.module}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{spec.module}.py"
        file.write_text(source)
        loader = SourceFileLoader(name, str(file))
        module = ModuleType(name)
        module.__file__ = str(file)
        sys.path[:0] = [str(root / "functions")]
        sys.modules[name] = module  # where pydantic looks up what annotations name
        try:
            loader.exec_module(module)
        except TypeError as error:
            raise Refused(f"the library does not accept this kind: {error}") from error
        finally:
            del sys.modules[name], sys.path[0]


def _remove(root: Path, name: str) -> None:
    from scripts.fork.removal import keep_uncommitted, plan_removal

    changes = plan_removal(root, name)
    folder, kept = keep_uncommitted(root, changes.deleted)
    changes.apply()
    for file in changes.names:
        print(f"new-job  | {'changed' if (root / file).exists() else 'removed'} {file}")
    if folder is not None:
        print(f"new-job  | {len(kept)} of them were not committed: they are in {folder} until ./scripts/dev --reset")
    print("new-job  | in a deployed stack, let its jobs end before you publish: that deletes its queues")


if __name__ == "__main__":
    sys.exit(main())
