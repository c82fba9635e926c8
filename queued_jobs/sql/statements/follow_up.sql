-- Once all jobs of a batch have ended, release the job that waits for them. A null batch means all batches (for the sweeper).
-- 0 rows: some jobs have not ended, or no job is waiting.
with ready as (
  select id from queued_jobs.job held
  where after_batch is not null and finished_at is null and available_at = '9999-12-31Z'
    and (%(batch_id)s::uuid is null or after_batch = %(batch_id)s)
    and not exists (select from queued_jobs.job member where member.batch_id = held.after_batch and member.finished_at is null)
  limit %(n)s for update skip locked)
update queued_jobs.job j
set available_at = clock_timestamp(), next_send_at = clock_timestamp() + make_interval(secs => %(hold)s), version = version + 1
from ready where j.id = ready.id
returning j.job_columns
