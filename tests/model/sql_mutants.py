"""Statements that are broken on purpose: for each, what is broken, the text that is there, and what takes its place.

Left out, because another guard makes them harmless: a claim of a waiting job with a cancel request (there is none), a
heartbeat without the status (only a running job has a token), a rescue without the lease (its rows are locked).
"""

from __future__ import annotations

_TOKEN = ("%(id)s and lease_token = %(token)s", "%(id)s and %(token)s::uuid is not null")
_ANY_USER = ("(%(any_user)s or user_id = %(user_id)s)", "(%(any_user)s or %(user_id)s::text is not null)")
_OWNER = ("where user_id = %(user_id)s and", "where %(user_id)s::text is not null and")
_NO_VERSION = ("version = version + 1", "version = version")
_SAME_GENERATION = ("dispatch_gen = dispatch_gen + 1", "dispatch_gen = dispatch_gen")

#: By the statement's name, and then by what is wrong with it.
SQL_MUTANTS: dict[str, dict[str, tuple[str, str]]] = {
    "enqueue": {
        "leaves the sender no grace": ("greatest(%(grace)s, delay - 600)", "greatest(0 * %(grace)s, delay - 600)"),
        "sends a far job at once": ("greatest(%(grace)s, delay - 600)", "%(grace)s"),
        "forgets the delay": ("make_interval(secs => delay) end,", "make_interval(secs => 0) end,"),
        "ignores the idempotency key": (
            "user_name, idempotency_key, unique_key, concurrency_key, batch_id,\n       after",
            "user_name, idempotency_key || now()::text, unique_key, concurrency_key, batch_id,\n       after",
        ),
        "ignores the unique key": (
            "idempotency_key, unique_key, concurrency_key, batch_id,\n       after",
            "idempotency_key, unique_key || now()::text, concurrency_key, batch_id,\n       after",
        ),
    },
    "find_existing": {
        "takes another request for the same": ("found.request = new.request or", "true or"),
        "forgets what was asked": ("coalesce(found.asked = new.asked, false)", "false"),
        "takes another user's job for one's own": ("found.user_id = new.user_id as is_mine", "true as is_mine"),
    },
    "claim": {
        "ignores the generation": ("dispatch_gen = %(gen)s and", "%(gen)s::bigint is not null and"),
        "ignores the status": ("status in ('pending','retrying') and not", "status <> 'succeeded' and not"),
        "takes a job before it is due": ("available_at <= clock_timestamp() + interval '1 second'", "true"),
        "takes a job of another kind": ("kind = %(kind)s", "%(kind)s::text is not null"),
        "takes a newer request": ("schema_version <= %(schema_version)s", "%(schema_version)s::int is not null"),
        "writes no history": ("started_at from claimed", "started_at from claimed where false"),
        "raises no version": _NO_VERSION,
        "does not count the attempt": ("attempt = attempt + 1", "attempt = attempt"),
        "sets the deadline like the lease": ("secs => %(timeout)s", "secs => %(lease)s"),
        "keeps the progress of the last attempt": (
            "progress = case when exists (select from saved) then progress end, progress_message = null,",
            "",
        ),
        "starts a job of a paused kind": (
            "\n    and not exists (select from paused)\n  returning job_columns),\nheld as",
            "\n  returning job_columns),\nheld as",
        ),
        "does not tell that its kind is paused": ("+ case when paused_at is null then 1 else 0 end", ""),
        "tells each time that its kind is paused": ("case when paused_at is null then 1 else 0 end", "1"),
        "sends a job of a paused kind over and over": (
            "next_send_at = '9999-12-31Z'",
            "next_send_at = clock_timestamp()",
        ),
        "lets a late mark lose a job of a paused kind": (
            "parked_at = clock_timestamp(), sent_gen",
            "parked_at = null, sent_gen",
        ),
        "lets a held job start as it was": ("paused_at = null, next_send_at = case", "next_send_at = case"),
        "holds another generation": (
            "where exists (select from paused) and id = %(id)s and dispatch_gen = %(gen)s",
            "where exists (select from paused) and id = %(id)s and %(gen)s::bigint is not null",
        ),
        "does not prove the send": ("sent_gen = greatest(sent_gen, %(gen)s), ", ""),
    },
    "not_due": {
        "does not send again": ("set sent_gen = dispatch_gen - 1", "set sent_gen = sent_gen"),
        "answers for another kind's queue": ("and (%(queues)s::text[] is null or queue = any(%(queues)s))", ""),
        "is undone by a late mark": ("parked_at = clock_timestamp(),", "parked_at = parked_at,"),
    },
    "no_handler": {
        "never gives up": ("resend_count >= %(give_up)s", "resend_count >= 1000 * %(give_up)s"),
        "does not wait": ("least(600, 30 * power(2, least(resend_count, 5)))", "0"),
        "is not sent again": ("sent_gen = dispatch_gen - 1, resend_count", "resend_count"),
        "answers for another kind's queue": ("and (%(queues)s::text[] is null or queue = any(%(queues)s))", ""),
        "is undone by a late mark": ("parked_at = clock_timestamp(),", ""),
    },
    "heartbeat": {
        "ignores the token": _TOKEN,
        "shows progress under the same version": ("then 1 else 0 end", "then 0 else 0 end"),
        "raises the version without progress": ("then 1 else 0 end", "then 1 else 1 end"),
        "does not extend the lease": ("set lease_until = clock_timestamp() +", "set lease_until = lease_until + 0 *"),
        "extends the deadline": ("set lease_until", "set deadline_at = deadline_at + interval '1 hour', lease_until"),
    },
    "save": {
        "ignores the token": _TOKEN,
        "does not advance the job": ("set gen = case", "set gen = case when true then saved.gen"),
    },
    "succeed": {
        "ignores the token": _TOKEN,
        "leaves the attempt open": ("from done where", "from done where false and"),
        "keeps the last error": ("error = null, lease_token", "lease_token"),
    },
    "fail": {
        "ignores the token": _TOKEN,
        "keeps the generation": _SAME_GENERATION,
        "forgets a cancel request": ("cancel_requested", "(cancel_requested and false)"),
        "retries beyond the last attempt": ("attempt >= max_attempts", "attempt > max_attempts"),
        "retries what is permanent": ("not %(retryable)s", "(not %(retryable)s and false)"),
        "does not back off": (
            "else clock_timestamp() + make_interval(secs => %(backoff)s) end",
            "else clock_timestamp() end",
        ),
    },
    "finish_cancelled": {
        "needs no request": (" and cancel_requested", ""),
    },
    "release": {
        "counts as an attempt": ("max_attempts = max_attempts + 1, ", ""),
        "is forgotten by a manual retry": ("uncounted = uncounted + 1, ", ""),
        "brings the number of the attempt back": (
            "uncounted = uncounted + 1, max_attempts = max_attempts + 1",
            "attempt = attempt - 1",
        ),
        "keeps the generation": _SAME_GENERATION,
        "ignores the token": _TOKEN,
    },
    "outcome": {
        "ignores the token": ("a.lease_token = %(token)s", "%(token)s::uuid is not null"),
        "takes a lost attempt for an ended one": ("'cancelled')", "'cancelled','lost','timeout')"),
    },
    "pick_unsent": {
        "leaves rows out": ("limit %(n)s", "limit least(1, %(n)s)"),
        "does not hold what it picked": ("+ make_interval(secs => %(hold)s)", "+ 0 * make_interval(secs => %(hold)s)"),
        "sends what has ended": ("and status in ('pending','retrying') ", ""),
    },
    "mark_sent": {
        "marks the next generation, too": ("set sent_gen = sent.gen", "set sent_gen = sent.gen + 1"),
        "marks what was answered meanwhile": (" and j.parked_at is null", ""),
        "marks an old generation": ("j.dispatch_gen = mark.gen and j.sent_gen < mark.gen and", ""),
        "marks what another sender has taken": ("j.next_send_at = mark.until", "mark.until is not null"),
    },
    "rescue": {
        "takes jobs from living workers (River 1302)": (
            "(lease_until < clock_timestamp() or deadline_at < clock_timestamp())",
            "true",
        ),
        "retries beyond the last attempt (Oban 652)": ("j.attempt >= j.max_attempts", "j.attempt > j.max_attempts"),
        "never gives up on lost workers": ("j.lost_count + 1 >= %(max_lost)s", "j.lost_count + 1 >= 9 * %(max_lost)s"),
        "takes a body that hangs for a lost worker": ("case when lost.worker_lost then 1", "case when true then 1"),
        "counts an attempt that has advanced": ("saved.gen = lost.dispatch_gen and", "saved.gen is null and"),
        "keeps the generation": ("dispatch_gen = j.dispatch_gen + 1", "dispatch_gen = j.dispatch_gen"),
        "leaves the attempt open": ("from lost where", "from lost where false and"),
        "raises no version": ("version = j.version + 1", "version = j.version"),
    },
    "wake_paused": {
        "does nothing": ("where walk.number < %(n)s", "where false"),
        "does not ask whether the kind is still paused": (
            "exists (select from queued_jobs.pause where kind = j.kind)",
            "false",
        ),
        "sends nothing": ("next_send_at = statement_timestamp()", "next_send_at = j.next_send_at"),
        "leaves them held": ("set paused_at = null,", "set"),
        "tells nobody": ("version = j.version + 1", "version = j.version"),
        "lets nobody mark the message": ("parked_at = null, ", ""),
    },
    "resend_silent": {
        "does nothing": ("set sent_gen = j.dispatch_gen - 1", "set sent_gen = j.sent_gen"),
        "raises the generation and starves the job": (
            "set sent_gen = j.dispatch_gen - 1",
            "set dispatch_gen = j.dispatch_gen + 1",
        ),
        "loses patience": (" * power(2, least(resend_count, 6))", ""),
    },
    "poisoned": {
        "touches a running job": (" and status in ('pending','retrying')", ""),
        "is undone by a late mark": ("parked_at = clock_timestamp(), version", "version"),
        "does not wake the job again": ("sent_gen = dispatch_gen - 1, next_send_at", "next_send_at"),
        "never gives up": ("times > %(max_resend)s", "times > 1000 * %(max_resend)s"),
        "counts each copy": ("sent_gen >= dispatch_gen and ", ""),
        "counts a send that came too soon": (
            "(poisoned_gen < dispatch_gen or poisoned_until <= clock_timestamp())",
            "true",
        ),
        "counts what is still hidden": (" and available_at <= clock_timestamp() + interval '1 second'", ""),
        "counts what another generation met": ("case when poisoned_gen = dispatch_gen then", "case when true then"),
        "waits no longer each time": ("600 * power(2, times - 2)", "600"),
        "counts what lies on another kind's queue": ("and (%(queues)s::text[] is null or queue = any(%(queues)s))", ""),
    },
    "poisoned_unmarked": {
        "is undone by a late mark": ("parked_at = clock_timestamp()", "parked_at = null"),
        "touches a running job": (" and status in ('pending','retrying')", ""),
        "believes in what is still hidden": (" and available_at <= clock_timestamp() + interval '1 second'", ""),
    },
    "reject": {
        "keeps every copy": ("%(body_start)s, 1)", "%(body_start)s, null)"),
    },
    "prune": {
        "deletes what has just ended": ("coalesce(own.keep, %(keep)s)", "0 * %(keep)s"),
    },
    "cancel": {
        "of a job that has ended": (
            "('pending','retrying','running') and not",
            "('pending','running','failed') and not",
        ),
        "by a stranger": _ANY_USER,
        "raises no version": _NO_VERSION,
        "ends a running job at once": ("case when status in ('pending','retrying')", "case when status <> 'failed'"),
    },
    "requeue": {
        "of a success": ("('failed','aborted','cancelled')", "('failed','aborted','cancelled','succeeded')"),
        "keeps the generation": _SAME_GENERATION,
        "by a stranger": _ANY_USER,
        "leaves no attempts": ("attempt + max_attempts - uncounted", "max_attempts"),
        "leaves more attempts each time": ("attempt + max_attempts - uncounted", "attempt + max_attempts"),
        "brings the numbers of the attempts back": ("uncounted = attempt,", "attempt = 0,"),
    },
    "mark_seen": {"by a stranger": _OWNER, "of a running job": (" and finished_at is not null", "")},
    "clear": {"by a stranger": _OWNER, "of a running job": (" and finished_at is not null", "")},
    "clear_finished": {"of everybody's jobs": _OWNER},
    "undo_clear": {"by a stranger": _OWNER, "of older removals": ("cleared_at >= %(since)s", "%(since)s < now()")},
    "get": {"by a stranger": _ANY_USER},
    "attempts": {"by a stranger": ("j.user_id = %(user_id)s", "%(user_id)s::text is not null")},
    "bell": {"shows everybody's jobs": ("user_id = %(user_id)s", "%(user_id)s::text is not null")},
}
