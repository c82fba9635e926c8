-- Unfinished jobs by kind, the time to pass to the other stats_ statements, and how many attempts those have to read: all that are
-- not in the aggregates yet, counted up to `most`, and those of the hours within `window`. Returns at least one row, whose kind is
-- null if there are no unfinished jobs. Delayed jobs and retries that are not due do not count as waiting.
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
