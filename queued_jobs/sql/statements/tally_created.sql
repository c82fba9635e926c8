-- Add new jobs to the statistics, in steps of whole minutes and about `n` jobs: those created before the oldest open transaction, as
-- far as this role can see other sessions, and before ten minutes ago in any case. A step is bounded by jobs, not by time: a busy day
-- would exceed the statement timeout. Returns how many were added, and whether more wait; no row if another process is counting.
with turn as (select created_until from queued_jobs.tally_turn limit 1 for update skip locked),
span as (
  select turn.created_until as since, greatest(turn.created_until, least(committed, step)) as until, coalesce(step < committed, false) as more
  from turn,
  lateral (
    select date_trunc('minute', least(clock_timestamp() - interval '10 minutes', min(xact_start)), 'UTC') as committed
    from pg_stat_activity where datname = current_database() and backend_type = 'client backend') activity,
  lateral (
    select greatest(date_trunc('minute', max(created_at), 'UTC'), date_trunc('minute', min(created_at), 'UTC') + interval '1 minute') as step
    from (select created_at from queued_jobs.job where created_at >= turn.created_until order by created_at, id limit %(n)s) next
    having count(*) = %(n)s
    union all select null limit 1) steps),
new as materialized (
  select j.kind, j.created_at from queued_jobs.job j, span where j.created_at >= span.since and j.created_at < span.until),
counted as (
  insert into queued_jobs.tally as t (grain, at, kind, created)
  select grain, date_trunc(grain, created_at, 'UTC'), kind, count(*)
  from new, unnest(array['minute','hour']) grain
  where grain = 'hour' or created_at > clock_timestamp() - interval '49 hours'
  group by 1, 2, 3 order by 1, 2, 3
  on conflict (grain, at, kind) do update set created = t.created + excluded.created),
moved as (update queued_jobs.tally_turn set created_until = span.until from span)
select (select count(*) from new) as counted, more from span
