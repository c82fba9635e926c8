-- Jobs that failed since `since`, grouped by error, most frequent first. Reads the aggregates, and the rows that are not
-- in them yet.
select fingerprint, min(type) as type, min(message) as message, array_agg(distinct kind order by kind) as kinds,
       sum(failures)::bigint as failures, min(first_at) as first_at, max(last_at) as last_at,
       (array_agg(example order by last_at desc, example desc))[1] as example
from (
  select fingerprint, type, message, kind, failures, first_at, last_at, example
  from queued_jobs.failure where grain in ('hour','day') and at >= %(since)s
  union all
  select queued_jobs.fingerprint(type, message), type, queued_jobs.normalised(message), kind, failures, first_at, last_at, example
  from (
    select error_type as type, error_message as message, kind, count(*) as failures, min(ended_at) as first_at,
           max(ended_at) as last_at, (array_agg(job_id order by ended_at desc, job_id desc))[1] as example
    from queued_jobs.ended_attempt where not tallied and ended_at >= %(since)s and verdict = 'failed' group by 1, 2, 3
    union all
    -- ended while they waited, as in stats_counts.sql
    select error->>'type', error->>'message', kind, count(*), min(finished_at), max(finished_at),
           (array_agg(id order by finished_at desc, id desc))[1]
    from queued_jobs.job
    where status = 'aborted' and finished_at >= %(since)s and error->>'type' in ('poison','no-handler')
    group by 1, 2, 3) row_by_row) grouped
group by fingerprint order by failures desc, last_at desc limit %(limit)s
