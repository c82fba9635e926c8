-- Like stats_durations, as histograms: how many waits and runs fell into each step. Reads the aggregates, and the rows that are
-- not in them yet.
select kind, at, array_agg(step order by step) as steps, array_agg(waits order by step) as waits, array_agg(runs order by step) as runs
from (
  select kind, at, step, sum(waits) as waits, sum(runs) as runs
  from (
    select kind, date_bin(%(bucket)s, at, %(origin)s) as at, step, waits, runs
    from queued_jobs.latency where grain in ('hour','day') and at >= %(since)s
    union all
    select kind, date_bin(%(bucket)s, ended_at, %(origin)s), queued_jobs.latency_step(seconds), is_wait, 1 - is_wait
    from queued_jobs.ended_attempt, lateral (values (wait, 1), (run, 0)) measure (seconds, is_wait)
    where not tallied and ended_at >= %(since)s and seconds is not null) measured
  group by grouping sets ((kind, step), (at, step), (step))) summed
group by kind, at order by at, kind
