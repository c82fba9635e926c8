-- Insert a job in the caller's transaction. 0 rows: idempotency_key (for this user and kind) or unique_key (among jobs of the
-- kind that have not ended) is taken. next_send_at leaves the caller `grace` seconds to send after its commit.
insert into queued_jobs.job (id, kind, schema_version, queue, user_id, idempotency_key, unique_key, parent_id, traceparent,
                             request, max_attempts, available_at, next_send_at)
values (%(id)s, %(kind)s, %(schema_version)s, %(queue)s, %(user_id)s, %(idempotency_key)s, %(unique_key)s, %(parent_id)s,
        %(traceparent)s, %(request)s, %(max_attempts)s, clock_timestamp() + make_interval(secs => %(delay)s),
        clock_timestamp() + make_interval(secs => greatest(%(grace)s, %(delay)s - 600)))
on conflict do nothing
returning *
