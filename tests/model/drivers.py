"""Two ways through the moves, even random walks and Hypothesis' choice; each sequence ends without faults."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.model import bell
from tests.model.job_state import NOW
from tests.model.moves import MOVES
from tests.model.moves.producers import start, stored
from tests.model.moves.timer import let_pass, sweep
from tests.model.moves.workers import act, deliver
from tests.model.store import Store
from tests.model.world import USERS, World

MOVES_A_SEQUENCE = 40
#: The longest wait that the library makes by itself is ten hours and forty minutes, for a silent message.
_ROUND = timedelta(hours=12)
_ROUNDS = 12

Run = Callable[[Coroutine[Any, Any, None]], None]


async def begin(world: World) -> None:
    """Store a few jobs, of which one has been claimed: an empty store proves nothing."""
    for user, delay in (("ann", NOW), ("ann", timedelta(seconds=30)), ("bob", NOW)):
        options: dict[str, Any] = {
            "user": user,
            "n": 1,
            "limit": world.dice.choice((1, 2, 4, 5)),
            "delay": delay,
            "idempotency_key": "a" if delay else "b",
            "unique_key": None,
        }
        job = stored(await start(world, **options), options)
        world.accept(job)
        world.foresee_send(job, delay)
    world.check()
    await deliver(world, world.mailbox.messages.pop(0))
    world.check()


async def end(world: World) -> None:
    """P11: once faults stop, a few rounds bring every job to its end. P13: then every bell can be put right."""
    for _ in range(_ROUNDS):
        await let_pass(world, _ROUND, beating=False)
        await sweep(world)
        world.check()
        messages, world.mailbox.messages = world.mailbox.messages, []
        for message in messages:
            lease = await deliver(world, message)
            if lease is not None:
                await act(world, lease, "succeed")
        world.check()
        if all(job.status.is_final for job in world.jobs.values()):
            break
    stuck = [job for job in world.jobs.values() if not job.status.is_final]
    assert not stuck, f"P11: jobs that do not end: {stuck}"
    for user in USERS:
        await bell.comes_right(world, user)


async def walk(store: Store, seen: Counter[str], seed: int) -> None:
    """Make one random walk. Raises an error that names the seed and the last moves."""
    world = World(store, seen, seed)
    trace: list[str] = ["begin"]
    try:
        await begin(world)
        for _ in range(MOVES_A_SEQUENCE):
            (name,) = world.dice.choices(list(MOVES), [move.weight for move in MOVES.values()])
            move = MOVES[name]
            chosen = {parameter: world.dice.choice(values) for parameter, values in move.choices.items()}
            trace.append(f"{name}({chosen})")
            await move(world, **chosen)
        trace.append("end")
        await end(world)
    except Exception as exc:
        moves = "\n  ".join(trace[-8:])
        raise WalkFailed(f"MODEL_SEED={seed}, move {len(trace) - 1}: {exc}\n  {moves}") from exc
    finally:
        await world.hub.close()


class WalkFailed(AssertionError):
    """A random walk found something; the message says how to walk there again."""


def walks(store: Store, seen: Counter[str], seeds: Iterable[int]) -> None:
    with asyncio.Runner() as runner:
        for seed in seeds:
            runner.run(walk(store, seen, seed))


def explore(store: Store, seen: Counter[str], sequences: int) -> None:
    """Let Hypothesis choose. It only generates: shrinking against a database takes minutes."""
    with asyncio.Runner() as runner:
        run = runner.get_loop().run_until_complete  # Runner.run looks after signals each time

        class Jobs(RuleBasedStateMachine):
            failed = True  # it has not begun

            @initialize(seed=st.integers(0, 2**32))
            def begin(self, seed: int) -> None:
                self.world = World(store, seen, seed)
                run(begin(self.world))
                self.failed = False

            def teardown(self) -> None:
                if not self.failed:
                    run(end(self.world))
                if hasattr(self, "world"):
                    run(self.world.hub.close())

        for name, move in MOVES.items():
            for copy in range(move.weight):
                setattr(Jobs, f"{name}_{copy}", _rule(name, run))
        run_state_machine_as_test(
            Jobs,
            settings=settings(
                max_examples=sequences,
                stateful_step_count=MOVES_A_SEQUENCE,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )


def _rule(name: str, run: Run) -> Any:
    def method(self: Any, **chosen: Any) -> None:
        self.failed = True
        run(MOVES[name](self.world, **chosen))
        self.failed = False

    method.__name__ = name
    choices: Any = {parameter: st.sampled_from(values) for parameter, values in MOVES[name].choices.items()}
    decorate: Any = rule(**choices)
    return decorate(method)
