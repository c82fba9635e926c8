"""The `scripts/bench` command: measures what the library costs on this machine.

Only numbers of one run can be compared, and only if nothing else uses the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import sys
import time
from pathlib import Path

import psycopg

from tools.bench.counts import Counts, count
from tools.bench.report import describe_machine, to_markdown
from tools.bench.rounds import SUBJECTS, measure
from tools.local_stack.postgres import PostgresServer
from tools.local_stack.state import temporary_folder

IN_FLIGHT = (1, 16, 64)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2 rounds of 300 jobs instead of 5 of 3,000")
    parser.add_argument("--only", action="append", choices=list(SUBJECTS), help="measure these subjects; repeatable")
    parser.add_argument("--output", type=Path, default=Path(".local/bench"), help="folder of bench.json and bench.md")
    arguments = parser.parse_args()
    rounds, jobs = (2, 300) if arguments.quick else (5, 3_000)
    subjects = [name for name in SUBJECTS if not arguments.only or name in arguments.only]
    counts = _count(jobs=300)
    samples = measure(subjects, rounds=rounds, jobs=jobs, in_flight=IN_FLIGHT, say=_say)
    text = to_markdown(samples, counts, jobs=jobs)
    result = {
        "machine": describe_machine(),
        "jobs": jobs,
        "samples": list(map(dataclasses.asdict, samples)),
        "counts": list(map(dataclasses.asdict, counts)),
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "bench.json").write_text(json.dumps(result, indent=1) + "\n")
    (arguments.output / "bench.md").write_text(text)
    sys.stdout.write(text)
    return 0


def _count(*, jobs: int) -> list[Counts]:
    found = []
    with temporary_folder() as folder:
        postgres = PostgresServer(folder / "postgres", durable=False)
        postgres.start()
        try:
            for in_flight in IN_FLIGHT:
                with psycopg.connect(postgres.url, autocommit=True) as conn:
                    conn.execute(f"create database counted_{in_flight}".encode())
                one = asyncio.run(count(postgres.url_of(f"counted_{in_flight}"), in_flight, jobs=jobs))
                _say(f"counted with {in_flight} in flight: {one.round_trips:.2f} round trips per job")
                found.append(one)
        finally:
            postgres.stop()
            postgres.delete_data()
    return found


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


if __name__ == "__main__":
    sys.exit(main())
