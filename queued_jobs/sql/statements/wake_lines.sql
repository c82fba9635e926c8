-- For the sweeper: resend jobs that wait in line although there is a free slot, because the worker that should have woken them crashed
-- or could not reach the database. Looks at up to `n` lines, in order of kind and key, after (after_kind, after_key). Returns the
-- last of them, their number, and the number of jobs woken. 0 rows: no line is left.
-- In each line it looks at as many jobs as there are free slots: the oldest due ones, among the first hundred. If one of them has a
-- message on the way, is sent in this sweep anyway, or pauses after a poisoned message, no other job takes its slot. Kinds that are
-- not passed have one slot.
-- parked_at stays until the message is sent, so that a late mark of an earlier message has no effect, see mark_sent.sql.
-- Walks job_in_line row by row on its whole key: for "the oldest of a kind and key", a planner without statistics may read all jobs
-- of the kind, for each line.
with recursive line as (
  (select kind, concurrency_key, 1 as number from queued_jobs.job
   where concurrency_key is not null and parked_at is not null and finished_at is null and status <> 'running'
     and (kind, concurrency_key) > (%(after_kind)s, %(after_key)s)
   order by kind, concurrency_key limit 1)
  union all
  select further.kind, further.concurrency_key, line.number + 1
  from line cross join lateral (
    select j.kind, j.concurrency_key from queued_jobs.job j
    where j.concurrency_key is not null and j.parked_at is not null and j.finished_at is null and j.status <> 'running'
      and (j.kind, j.concurrency_key) > (line.kind, line.concurrency_key)
    order by j.kind, j.concurrency_key limit 1) further
  where line.number < %(n)s),
free as (
  select line.kind, line.concurrency_key,
         coalesce(allowed.max_concurrent, 1) - (select count(*) from queued_jobs.job other where other.kind = line.kind
           and other.concurrency_key = line.concurrency_key and other.status = 'running') as places
  from line left join unnest(%(kinds)s::text[], %(limits)s::int[]) as allowed (kind, max_concurrent) using (kind)),
standing as (
  select free.kind, free.concurrency_key, '-infinity'::timestamptz as created_at, null::job_key as id, free.places, 0 as steps,
         false as forgotten
  from free where free.places > 0
  union all
  select standing.kind, standing.concurrency_key, next.created_at, next.id,
         standing.places - case when next.available_at <= statement_timestamp() then 1 else 0 end, standing.steps + 1,
         next.available_at <= statement_timestamp() and next.parked_at is not null and next.paused_at is null and next.next_send_at > statement_timestamp()
         and (next.poisoned_gen < next.dispatch_gen or next.poisoned_until <= statement_timestamp())
  from standing cross join lateral (
    select j.kind, j.concurrency_key, j.created_at, j.id, j.available_at, j.parked_at, j.paused_at, j.next_send_at, j.dispatch_gen,
           j.poisoned_gen, j.poisoned_until
    from queued_jobs.job j
    where j.concurrency_key is not null and j.finished_at is null and j.status <> 'running'
      and (j.kind, j.concurrency_key, j.created_at, j.id)
        > (standing.kind, standing.concurrency_key, standing.created_at, coalesce(standing.id, %(first_key)s))
    order by j.kind, j.concurrency_key, j.created_at, j.id limit 1) next
  where standing.places > 0 and standing.steps < 100
    and next.kind = standing.kind and next.concurrency_key = standing.concurrency_key),
held as (  -- still waiting, in words that make no index of waiting jobs look better than the ids
  select j.id from standing join queued_jobs.job j on j.id = standing.id
  where standing.forgotten and j.parked_at is not null and j.status <> 'running' and j.finished_at is null for update of j skip locked),
woken as (
  update queued_jobs.job j set next_send_at = clock_timestamp() from held where j.id = held.id returning j.id)
select kind, concurrency_key, number, (select count(*) from woken) as woken from line order by number desc limit 1
