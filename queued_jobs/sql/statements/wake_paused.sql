-- Jobs that were held because their kind was paused, and it no longer is: their messages become due in order of age, `hold`
-- seconds from now, microseconds apart, so that pick_unsent.sql takes them in this order.
-- Walks job_paused row by row on its whole key, see wake_lines.sql, and passes over all further jobs of a kind that is still paused.
with recursive walk as (
  select ''::text as kind, '-infinity'::timestamptz as created_at, %(first_key)s::job_key as id, true as is_paused, 0 as number
  union all
  select next.kind, next.created_at, next.id, next.is_paused, walk.number + case when next.is_paused then 0 else 1 end
  from walk cross join lateral (
    select j.kind, j.created_at, j.id, exists (select from queued_jobs.pause where kind = j.kind) as is_paused
    from queued_jobs.job j
    where j.paused_at is not null and j.finished_at is null and j.status <> 'running'
      and (j.kind, j.created_at, j.id) > (walk.kind, case when walk.is_paused then 'infinity' else walk.created_at end, walk.id)
    order by j.kind, j.created_at, j.id limit 1) next
  where walk.number < %(n)s),
held as (
  select j.id, j.created_at
  from walk cross join lateral (
    select id, created_at from queued_jobs.job
    where id = walk.id and paused_at is not null and finished_at is null and status <> 'running' for update skip locked) j
  where not walk.is_paused),
placed as (
  select id, row_number() over (order by created_at desc, id desc) - 1 as behind from held)
update queued_jobs.job j
set paused_at = null, parked_at = null, version = j.version + 1,
    next_send_at = statement_timestamp() + make_interval(secs => %(hold)s) - placed.behind * interval '1 microsecond'
from placed where j.id = placed.id
returning j.job_columns
