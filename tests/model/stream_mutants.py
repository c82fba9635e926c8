"""Guards of what bodies emit, each removed on purpose."""

from __future__ import annotations

from functools import partial

from tests.contract import test_streams
from tests.model.contract_mutant import Mutant

_continues = partial(test_streams.test_the_next_attempt_continues_the_numbers, end="lost")

STREAM_MUTANTS = {
    "a loser appends": Mutant("append", "and lease_token = %(token)s", "", test_streams.test_a_loser_appends_nothing),
    "one that has ended appends": Mutant(
        "append",
        "lease_token = %(token)s and status = 'running'",
        "status <> 'retrying'",
        test_streams.test_a_loser_appends_nothing,
    ),
    "a batch is appended twice": Mutant(
        "append",
        "where case when head.gen = excluded.gen then head.written else 0 end = %(written)s::int",
        "where true",
        test_streams.test_a_batch_that_is_sent_twice_is_kept_once,
    ),
    "a later attempt appends nothing": Mutant(
        "append", "case when head.gen = excluded.gen then head.written else 0 end", "head.written", _continues
    ),
    "a later attempt is taken for the earlier one": Mutant("append", "set gen = excluded.gen,", "set", _continues),
    "what was appended before is forgotten": Mutant(
        "append",
        "written = %(written)s::int + excluded.written",
        "written = excluded.written",
        test_streams.test_a_batch_that_is_sent_twice_is_kept_once,
    ),
    "the size is not added up": Mutant(
        "append",
        "ends_at = head.ends_at + excluded.ends_at",
        "ends_at = excluded.ends_at",
        test_streams.test_the_oldest_chunks_go_and_their_numbers_are_not_used_again,
    ),
    "a chunk's place is that of its batch": Mutant(
        "append",
        "head.ends_at - %(size)s::bigint + new.starts_at",
        "head.ends_at - %(size)s::bigint",
        test_streams.test_a_large_chunk_takes_the_place_of_many_small_ones,
    ),
    "everything is kept": Mutant(
        "append",
        "head.ends_at > %(max_size)s::bigint",
        "false",
        test_streams.test_the_oldest_chunks_go_and_their_numbers_are_not_used_again,
    ),
    "a chunk is kept too long": Mutant(
        "append",
        "where old.starts_at < head.ends_at - %(max_size)s::bigint",
        "where old.starts_at < head.ends_at - %(max_size)s::bigint - 66",
        test_streams.test_the_oldest_chunks_go_and_their_numbers_are_not_used_again,
    ),
    "the newest go": Mutant(
        "append",
        "order by seq limit",
        "order by seq desc limit",
        test_streams.test_the_oldest_chunks_go_and_their_numbers_are_not_used_again,
    ),
    "the mark is lost": Mutant(
        "append", "new.text, new.skipped,", "new.text, 0,", test_streams.test_chunks_are_kept_in_order
    ),
    "the pushed time is not the stored one": Mutant(
        "append",
        "new.starts_at, head.now",
        "new.starts_at, now()",
        test_streams.test_what_was_appended_is_returned_as_readers_get_it,
    ),
    "what was appended before is pushed as new": Mutant(
        "append",
        "head.now as emitted_at",
        "now() as emitted_at",
        test_streams.test_what_was_appended_is_returned_as_readers_get_it,
    ),
    "another job's chunks are read": Mutant(
        "stream", "where job_id = (select id from own) and seq", "where seq", test_streams.test_chunks_are_kept_in_order
    ),
}
