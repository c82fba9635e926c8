-- Insert jobs in the caller's transaction. Omitted from the result: jobs whose idempotency_key (for this user and kind) or
-- unique_key (among unfinished jobs of the kind) is taken. next_send_at gives the caller `grace` seconds to send after its commit.
-- A held job waits for the end of a batch.
insert into queued_jobs.job (id, kind, schema_version, queue, user_id, user_name, idempotency_key, unique_key, concurrency_key,
                             batch_id, after_batch, parent_id, traceparent, request, asked, max_attempts, available_at, next_send_at)
select id, kind, schema_version, queue, user_id, user_name, idempotency_key, unique_key, concurrency_key, batch_id,
       after_batch, parent_id, traceparent, request, asked, max_attempts,
       case when held then '9999-12-31Z' else clock_timestamp() + make_interval(secs => delay) end,
       case when held then '9999-12-31Z' else clock_timestamp() + make_interval(secs => greatest(%(grace)s, delay - 600)) end
from jsonb_to_recordset(%(jobs)s) as new (
  id job_key, kind text, schema_version int, queue text, user_id text, user_name text, idempotency_key text, unique_key text,
  concurrency_key text, batch_id uuid, after_batch uuid, parent_id job_key, traceparent text, request jsonb, asked text, max_attempts int,
  delay float8, held boolean)
on conflict do nothing
returning job_columns
