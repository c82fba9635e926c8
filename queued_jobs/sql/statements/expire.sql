-- Drop the results of these jobs, and record when they were dropped.
-- Rows are locked in order of their ids, see mark_sent.sql.
with chosen as (
  select id from queued_jobs.job
  where id = any(%(ids)s) and status = 'succeeded' and result is not null
  order by id for update)
update queued_jobs.job j
set result = null, expired_at = clock_timestamp(), version = version + 1
from chosen where j.id = chosen.id
returning j.job_columns
