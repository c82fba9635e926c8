-- Compact the statistics: hours older than a week become days; minutes older than two days and days older than 400 days are deleted.
-- Moves and deletes at most `n` rows of each table per call, and returns the largest of these numbers.
with turn as (select from queued_jobs.tally_turn limit 1 for update skip locked),
old as (select date_trunc('day', clock_timestamp() - interval '7 days', 'UTC') as before from turn),
minutes_gone as (
  delete from queued_jobs.tally where (grain, at, kind) in (
    select t.grain, t.at, t.kind from queued_jobs.tally t, turn
    where t.grain = 'minute' and t.at < statement_timestamp() - interval '49 hours' limit %(n)s)
  returning at),
days_gone as (
  delete from queued_jobs.tally where (grain, at, kind) in (
    select t.grain, t.at, t.kind from queued_jobs.tally t, turn
    where t.grain = 'day' and t.at < statement_timestamp() - interval '400 days' limit %(n)s)
  returning at),
latency_gone as (
  delete from queued_jobs.latency where (grain, at, kind, step) in (
    select l.grain, l.at, l.kind, l.step from queued_jobs.latency l, turn
    where l.grain = 'day' and l.at < statement_timestamp() - interval '400 days' limit %(n)s)
  returning at),
failure_gone as (
  delete from queued_jobs.failure where (grain, at, kind, fingerprint) in (
    select f.grain, f.at, f.kind, f.fingerprint from queued_jobs.failure f, turn
    where f.grain = 'day' and f.at < statement_timestamp() - interval '400 days' limit %(n)s)
  returning at),
tallies as (
  delete from queued_jobs.tally where (grain, at, kind) in (
    select t.grain, t.at, t.kind from queued_jobs.tally t, old where t.grain = 'hour' and t.at < old.before limit %(n)s)
  returning at, kind, created, succeeded, failed, retried),
tally_days as (
  insert into queued_jobs.tally as t (grain, at, kind, created, succeeded, failed, retried)
  select 'day', date_trunc('day', at, 'UTC'), kind, sum(created), sum(succeeded), sum(failed), sum(retried)
  from tallies group by 1, 2, 3 order by 1, 2, 3
  on conflict (grain, at, kind) do update set created = t.created + excluded.created,
    succeeded = t.succeeded + excluded.succeeded, failed = t.failed + excluded.failed, retried = t.retried + excluded.retried),
latencies as (
  delete from queued_jobs.latency where (grain, at, kind, step) in (
    select l.grain, l.at, l.kind, l.step from queued_jobs.latency l, old where l.grain = 'hour' and l.at < old.before limit %(n)s)
  returning at, kind, step, waits, runs),
latency_days as (
  insert into queued_jobs.latency as t (grain, at, kind, step, waits, runs)
  select 'day', date_trunc('day', at, 'UTC'), kind, step, sum(waits), sum(runs)
  from latencies group by 1, 2, 3, 4 order by 1, 2, 3, 4
  on conflict (grain, at, kind, step) do update set waits = t.waits + excluded.waits, runs = t.runs + excluded.runs),
failures as (
  delete from queued_jobs.failure where (grain, at, kind, fingerprint) in (
    select f.grain, f.at, f.kind, f.fingerprint from queued_jobs.failure f, old
    where f.grain = 'hour' and f.at < old.before limit %(n)s)
  returning at, kind, fingerprint, type, message, failures, first_at, last_at, example),
failure_days as (
  insert into queued_jobs.failure as t (grain, at, kind, fingerprint, type, message, failures, first_at, last_at, example)
  select 'day', date_trunc('day', at, 'UTC'), kind, fingerprint, min(type), min(message), sum(failures), min(first_at),
         max(last_at), (array_agg(example order by last_at desc))[1]
  from failures group by 1, 2, 3, 4 order by 1, 2, 3, 4
  on conflict (grain, at, kind, fingerprint) do update set failures = t.failures + excluded.failures,
    first_at = least(t.first_at, excluded.first_at), last_at = greatest(t.last_at, excluded.last_at),
    example = case when excluded.last_at > t.last_at then excluded.example else t.example end)
select greatest((select count(*) from minutes_gone), (select count(*) from days_gone), (select count(*) from latency_gone),
                (select count(*) from failure_gone), (select count(*) from tallies), (select count(*) from latencies), (select count(*) from failures)) as moved
