-- cancel.sql for many jobs, for an admin: changes those that have not ended and have no cancel request yet.
-- Rows are locked in order of their ids, see mark_sent.sql.
with chosen as (
  select id from queued_jobs.job
  where id = any(%(ids)s) and status in ('pending','retrying','running') and not cancel_requested
  order by id for update)
update queued_jobs.job j
set cancel_requested = true,
    status = case when status in ('pending','retrying') then 'cancelled' else status end,
    finished_at = case when status in ('pending','retrying') then clock_timestamp() end,
    version = version + 1
from chosen where j.id = chosen.id
returning j.job_columns
