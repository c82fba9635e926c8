-- A job of this kind and concurrency key has freed its slot: take the message of the oldest job in line. 0 rows: none is waiting,
-- their messages are already on the way, or they pause after a poisoned message. Looks at the hundred oldest due jobs only: those
-- behind them cannot get a slot before these have theirs, and then this runs again. Walks them one by one, see wake_lines.sql: of
-- "kind = and concurrency_key =" a planner expects few jobs, whatever their number, and may sort all of them.
with recursive line as (
  select '-infinity'::timestamptz as created_at, %(first_key)s::job_key as id, 0 as number
  union all
  select following.created_at, following.id, line.number + 1
  from line cross join lateral (
    select j.created_at, j.id from queued_jobs.job j
    where j.concurrency_key is not null and j.finished_at is null and j.status <> 'running' and j.available_at <= clock_timestamp()
      and (j.kind, j.concurrency_key) <= (%(kind)s, %(concurrency_key)s)
      and (j.kind, j.concurrency_key, j.created_at, j.id) > (%(kind)s, %(concurrency_key)s, line.created_at, line.id)
    order by j.kind, j.concurrency_key, j.created_at, j.id limit 1) following
  where line.number < 100),
next as (
  select id from queued_jobs.job
  where kind = %(kind)s and concurrency_key = %(concurrency_key)s and finished_at is null and status <> 'running'
    and available_at <= clock_timestamp() and parked_at is not null and paused_at is null and created_at <= (select max(created_at) from line)
    and (poisoned_gen < dispatch_gen or poisoned_until <= clock_timestamp())
  order by created_at, id limit 1 for update skip locked)
update queued_jobs.job j
set next_send_at = clock_timestamp() + make_interval(secs => %(hold)s), parked_at = null
from next where j.id = next.id
returning j.job_columns
