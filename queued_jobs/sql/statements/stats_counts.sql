-- How many jobs were created and ended since `since`: by kind and bucket, by kind (at is null), and in total (kind is null). Reads
-- the aggregates, and the rows that are not in them yet: of new jobs, those since tally_turn.created_until, which must be read in
-- the same snapshot. new_since is an earlier value of it, for the planner.
select kind, at, coalesce(sum(created), 0) as created, coalesce(sum(succeeded), 0) as succeeded,
       coalesce(sum(failed), 0) as failed, coalesce(sum(retried), 0) as retried
from (
  select kind, date_bin(%(bucket)s, at, %(origin)s) as at, created, succeeded, failed, retried
  from queued_jobs.tally where grain = any(%(grains)s) and at >= %(since)s
  union all
  select kind, date_bin(%(bucket)s, created_at, %(origin)s), 1, 0, 0, 0
  from queued_jobs.job
  where created_at >= %(new_since)s and created_at >= (select created_until from queued_jobs.tally_turn)
  union all
  select kind, date_bin(%(bucket)s, ended_at, %(origin)s), 0, (verdict = 'succeeded')::int, (verdict = 'failed')::int,
         (verdict = 'retried')::int
  from queued_jobs.ended_attempt where not tallied and ended_at >= %(since)s and verdict is not null
  union all
  -- ended while they waited: the queue gave up on the message, or no worker knows the kind
  select kind, date_bin(%(bucket)s, finished_at, %(origin)s), 0, 0, 1, 0
  from queued_jobs.job
  where status = 'aborted' and finished_at >= %(since)s and error->>'type' in ('poison','no-handler')) counted
group by grouping sets ((1, 2), (1), ()) order by 2, 1
