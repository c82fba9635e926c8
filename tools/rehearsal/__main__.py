"""The command scripts/rehearse: a whole life of the stack on this machine, and what happened in it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from tools.local_stack.errors import LocalRunError
from tools.rehearsal.interruption import survive_interruption
from tools.rehearsal.lifecycle import live_through
from tools.rehearsal.pulumi_engine import EngineMissing, find_or_build
from tools.rehearsal.stage import Say, Stage, Unexpected


def main(arguments: Sequence[str]) -> int:
    """Rehearse and return 0; 1 when something was not as it should be, 2 when there is no engine."""
    argparse.ArgumentParser(
        prog="scripts/rehearse",
        description="Make, change, damage and take down the stack of this checkout with Pulumi's real engine, on this "
        "machine: no cloud account, no cost. Uses a copy, with the configuration of Pulumi.dev.yaml.",
    ).parse_args(arguments)
    try:
        rehearse(_say)
    except EngineMissing as error:
        _say(str(error))
        return 2
    except KeyboardInterrupt:
        _say("interrupted; nothing is left")
        return 130
    except (LocalRunError, Unexpected) as error:
        _say(f"not as it should be: {error}")
        return 1
    return 0


def rehearse(say: Say) -> None:
    """Rehearse everything. Raises `Unexpected`, `EngineMissing`, or `LocalRunError`."""
    started = time.monotonic()
    engine = find_or_build(say)
    say(f"engine {engine.version} from {engine.program.parent}, after {time.monotonic() - started:.0f} s")
    for act in (live_through, survive_interruption):
        with Stage(engine, say) as stage:
            act(stage)
    say(f"all as it should be, after {time.monotonic() - started:.0f} s")


def _say(line: str) -> None:
    print(f"rehearse | {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
