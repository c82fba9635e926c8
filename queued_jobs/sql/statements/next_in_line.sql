-- A job of this kind and concurrency key has freed its slot: take the message of the oldest job in line. 0 rows: none is waiting,
-- their messages are already on the way, or they pause after a poisoned message. Looks at the hundred oldest due jobs only: those
-- behind them cannot get a slot before these have theirs, and then this runs again.
with line as (
  select created_at from queued_jobs.job
  where kind = %(kind)s and concurrency_key = %(concurrency_key)s and status in ('pending','retrying')
    and available_at <= clock_timestamp()
  order by created_at, id limit 100),
next as (
  select id from queued_jobs.job
  where kind = %(kind)s and concurrency_key = %(concurrency_key)s and status in ('pending','retrying')
    and available_at <= clock_timestamp() and parked_at is not null and created_at <= (select max(created_at) from line)
    and (poisoned_gen < dispatch_gen or poisoned_until <= clock_timestamp())
  order by created_at, id limit 1 for update skip locked)
update queued_jobs.job j
set next_send_at = clock_timestamp() + make_interval(secs => %(hold)s), parked_at = null
from next where j.id = next.id
returning j.job_columns
