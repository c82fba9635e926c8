-- Undo of "clear": only what was cleared since `since`, so that an undo never brings back older rows.
-- Rows are locked in order of their ids, see mark_sent.sql.
with chosen as (
  select id from queued_jobs.job
  where user_id = %(user_id)s and id = any(%(ids)s) and cleared_at >= %(since)s
  order by id for update)
update queued_jobs.job j set cleared_at = null, version = version + 1
from chosen where j.id = chosen.id
returning j.job_columns
