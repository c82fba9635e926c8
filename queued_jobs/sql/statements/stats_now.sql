-- What has not ended, by kind; with the moment that the other stats_ statements are asked for, and how many attempts they will have
-- to do with: all that are not in the sums yet, as far as `most`, and those of the hours within `window`. Always at least one row,
-- whose kind is null where nothing is under way. Delayed jobs and retries that are not due yet do not wait.
select clock_timestamp() as now, turn.created_until, ended.attempts,
       active.kind, active.waiting, active.delayed, active.running, active.waiting_since
from queued_jobs.tally_turn turn
cross join (
  select (select count(*) from (select from queued_jobs.attempt where not tallied limit %(most)s) untallied)
       + (select coalesce(sum(succeeded + failed + retried), 0) from queued_jobs.tally
          where grain = 'hour' and at > clock_timestamp() - %(window)s) as attempts) ended
left join (
  select kind, count(*) filter (where status <> 'running' and available_at <= clock_timestamp()) as waiting,
         count(*) filter (where status <> 'running' and available_at > clock_timestamp()) as delayed,
         count(*) filter (where status = 'running') as running,
         min(available_at) filter (where status <> 'running' and available_at <= clock_timestamp()) as waiting_since
  from queued_jobs.job where status in ('pending','running','retrying') group by kind) active on true
order by kind
