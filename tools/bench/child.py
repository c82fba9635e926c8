"""One subject in its own process: reads commands as lines of JSON, and answers each with one."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from tools.bench.library import Library, QuietLibrary
from tools.bench.naked import Naked
from tools.bench.sharing import Sharing
from tools.bench.subject import Settings, Subject

SUBJECTS: dict[str, type[Subject]] = {
    "naked": Naked,
    "sharing": Sharing,
    "library": Library,
    "library-quiet": QuietLibrary,
}


async def serve(subject: Subject) -> None:
    await subject.open()
    _answer({})
    while line := await asyncio.to_thread(sys.stdin.readline):
        command = json.loads(line)
        if "prepare" in command:
            await subject.prepare(command["prepare"])
            _answer({})
        else:
            _answer(await subject.measure(command["in_flight"]))
    await subject.close()


def _answer(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve(SUBJECTS[sys.argv[1]](Settings(database=sys.argv[2], hub=sys.argv[3]))))
