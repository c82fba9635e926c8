-- Add ended attempts to the statistics and mark them, oldest first: each is counted once, however late its end is committed.
-- 0 rows: nothing to count, or another process is counting.
with turn as (select from queued_jobs.tally_turn limit 1 for update skip locked),
batch as (
  select a.job_id, a.gen from queued_jobs.attempt a, turn
  where not a.tallied and a.ended_at is not null
  order by a.started_at limit %(n)s for update of a skip locked),
marked as (
  update queued_jobs.attempt a set tallied = true from batch
  where a.job_id = batch.job_id and a.gen = batch.gen and not a.tallied
  returning a.job_id, a.gen),
ended as materialized (
  select e.job_id, e.kind, e.ended_at, e.verdict, e.wait, e.run, e.error_type, e.error_message
  from marked join queued_jobs.ended_attempt e on e.job_id = marked.job_id and e.gen = marked.gen),
counted as (
  insert into queued_jobs.tally as t (grain, at, kind, succeeded, failed, retried)
  select grain, date_trunc(grain, ended_at, 'UTC'), kind, count(*) filter (where verdict = 'succeeded'),
         count(*) filter (where verdict = 'failed'), count(*) filter (where verdict = 'retried')
  from ended, unnest(array['minute','hour']) grain
  where verdict is not null and (grain = 'hour' or ended_at > clock_timestamp() - interval '49 hours')
  group by 1, 2, 3 order by 1, 2, 3
  on conflict (grain, at, kind) do update set succeeded = t.succeeded + excluded.succeeded,
    failed = t.failed + excluded.failed, retried = t.retried + excluded.retried),
measured as (
  insert into queued_jobs.latency as t (grain, at, kind, step, waits, runs)
  select 'hour', date_trunc('hour', ended_at, 'UTC'), kind, queued_jobs.latency_step(seconds), sum(is_wait), sum(1 - is_wait)
  from ended, lateral (values (wait, 1), (run, 0)) measure (seconds, is_wait) where seconds is not null
  group by 1, 2, 3, 4 order by 1, 2, 3, 4
  on conflict (grain, at, kind, step) do update set waits = t.waits + excluded.waits, runs = t.runs + excluded.runs),
grouped as (
  insert into queued_jobs.failure as t (grain, at, kind, fingerprint, type, message, failures, first_at, last_at, example)
  select 'hour', date_trunc('hour', ended_at, 'UTC'), kind, queued_jobs.fingerprint(error_type, error_message), min(error_type),
         min(queued_jobs.normalised(error_message)), count(*), min(ended_at), max(ended_at),
         (array_agg(job_id order by ended_at desc))[1]
  from ended where verdict = 'failed' group by 1, 2, 3, 4 order by 1, 2, 3, 4
  on conflict (grain, at, kind, fingerprint) do update set failures = t.failures + excluded.failures,
    first_at = least(t.first_at, excluded.first_at), last_at = greatest(t.last_at, excluded.last_at),
    example = case when excluded.last_at > t.last_at then excluded.example else t.example end)
select job_id from marked
