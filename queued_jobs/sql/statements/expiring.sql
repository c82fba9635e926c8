-- Take jobs whose result has outlived its retention: `keep` seconds, or the kind's own time. Each is held for an hour, in case
-- its files cannot be removed now. Reads kind by kind, so that jobs of a kind with a long retention are not read for the other kinds.
-- Compares with the statement's own time, see pick_unsent.sql.
with recursive found as (
  (select kind from queued_jobs.job where result is not null order by kind limit 1)
  union all
  select (select j.kind from queued_jobs.job j where j.result is not null and j.kind > found.kind order by j.kind limit 1)
  from found where found.kind is not null),
awaited as (  -- by follow-ups, which read the jobs of their batch
  select after_batch from queued_jobs.job where after_batch is not null and finished_at is null),
due as (
  select j.id
  from found left join unnest(%(kinds)s::text[], %(keeps)s::float8[]) as own (kind, keep) using (kind)
  cross join lateral (
    select id from queued_jobs.job
    where kind = found.kind and result is not null and next_send_at < statement_timestamp()
      and finished_at < statement_timestamp() - make_interval(secs => coalesce(own.keep, %(keep)s))
      and (batch_id is null or batch_id not in (select after_batch from awaited))
    order by finished_at limit %(n)s for update skip locked) j
  limit %(n)s)
update queued_jobs.job j
set next_send_at = clock_timestamp() + interval '1 hour'
from due where j.id = due.id
returning j.job_columns
