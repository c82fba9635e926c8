-- End jobs that have been due for `wait` seconds although no worker knows their kind: it is not among `kinds`, those of this sweeper,
-- no attempt of it runs or has ended in that time, in any process, and it is not paused. Such a job's queue has no reader, see no_handler.sql.
-- The index finds active jobs by their age; the three lookups per job are answered by job_running, job_ended and job_result.
with unknown as (
  select id from queued_jobs.job waiting
  where status in ('pending','retrying') and created_at < statement_timestamp() - make_interval(secs => %(wait)s)
    and available_at < statement_timestamp() - make_interval(secs => %(wait)s)
    and kind <> all(%(kinds)s::text[])
    and not exists (select from queued_jobs.pause where kind = waiting.kind)
    and not exists (select from queued_jobs.job other where other.kind = waiting.kind and other.status = 'running')
    and not exists (select from queued_jobs.job other where other.kind = waiting.kind and other.result is not null
                    and other.finished_at > statement_timestamp() - make_interval(secs => %(wait)s))
    and not exists (select from queued_jobs.job other where other.kind = waiting.kind and other.result is null
                    and other.finished_at > statement_timestamp() - make_interval(secs => %(wait)s)
                    and other.status in ('succeeded','failed'))
  order by id limit %(n)s for update skip locked)
update queued_jobs.job j
set status = 'aborted', finished_at = clock_timestamp(),
    error = jsonb_build_object('type', 'no-handler', 'message', format('No worker knew the kind %%s for a day.', j.kind)),
    version = j.version + 1
from unknown where j.id = unknown.id
returning j.job_columns
