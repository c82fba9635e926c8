"""The `scripts/rehearse` command: runs and reports the life cycle of the stack on this machine."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from tools.local_stack.errors import LocalRunError
from tools.rehearsal.interruption import survive_interruption
from tools.rehearsal.lifecycle import live_through, preview_production
from tools.rehearsal.pulumi_engine import EngineMissing, find_or_build
from tools.rehearsal.stage import Say, Stage, Unexpected


def main(arguments: Sequence[str]) -> int:
    """Rehearse and return 0; 1 if something was not as expected, 2 if there is no engine."""
    argparse.ArgumentParser(
        prog="scripts/rehearse",
        description="Create, change, damage and destroy the stack of this checkout with Pulumi's real engine, on this "
        "machine: no cloud account, no cost. Uses a copy, with the configuration of Pulumi.dev.yaml.",
    ).parse_args(arguments)
    try:
        rehearse(_say)
    except EngineMissing as error:
        _say(str(error))
        return 2
    except KeyboardInterrupt:
        _say("interrupted; nothing was left behind")
        return 130
    except (LocalRunError, Unexpected) as error:
        _say(f"not as expected: {error}")
        return 1
    return 0


def rehearse(say: Say) -> None:
    """Rehearse everything. Raises `Unexpected`, `EngineMissing`, or `LocalRunError`."""
    started = time.monotonic()
    engine = find_or_build(say)
    say(f"engine {engine.version} from {engine.program.parent}, after {time.monotonic() - started:.0f} s")
    with Stage(engine, say) as stage:
        for act in (live_through, survive_interruption, preview_production):
            act(stage)
    say(f"everything as expected, after {time.monotonic() - started:.0f} s")


def _say(line: str) -> None:
    print(f"rehearse | {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
