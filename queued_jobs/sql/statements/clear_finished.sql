-- The owner removed all finished jobs from the bell, at one time, by which undo finds them.
-- Rows are locked in order of their ids, see mark_sent.sql.
with chosen as (
  select id from queued_jobs.job
  where user_id = %(user_id)s and cleared_at is null and finished_at is not null
  order by id for update)
update queued_jobs.job j set cleared_at = statement_timestamp(), seen_at = coalesce(seen_at, statement_timestamp()), version = version + 1
from chosen where j.id = chosen.id
returning j.id, j.version, j.cleared_at
