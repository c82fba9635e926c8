-- Add new jobs to the statistics, at most a day of them: those created before everything that is still to be committed, as far
-- as this role can see other sessions, and ten minutes ago in any case. 0 rows: somebody else is counting.
with turn as (select created_until from queued_jobs.tally_turn limit 1 for update skip locked),
span as (
  select created_until as since,
         greatest(created_until, least(date_trunc('minute', committed, 'UTC'),
           (select date_trunc('minute', min(j.created_at), 'UTC') + interval '1 day' from queued_jobs.job j
            where j.created_at >= turn.created_until))) as until
  from turn, lateral (
    select least(clock_timestamp() - interval '10 minutes', min(xact_start)) as committed
    from pg_stat_activity where datname = current_database() and backend_type = 'client backend') activity),
counted as (
  insert into queued_jobs.tally as t (grain, at, kind, created)
  select grain, date_trunc(grain, j.created_at, 'UTC'), j.kind, count(*)
  from queued_jobs.job j, span, unnest(array['minute','hour']) grain
  where j.created_at >= span.since and j.created_at < span.until
    and (grain = 'hour' or j.created_at > clock_timestamp() - interval '49 hours')
  group by 1, 2, 3 order by 1, 2, 3
  on conflict (grain, at, kind) do update set created = t.created + excluded.created)
update queued_jobs.tally_turn set created_until = span.until from span
returning created_until
