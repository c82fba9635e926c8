-- Wait and run time in seconds at the 50th, 95th and 99th percentile of the attempts that ended since `since`: for each kind (at is
-- null), for each bucket (kind is null), and in total.
select kind, date_bin(%(bucket)s, ended_at, %(origin)s) as at,
       percentile_cont(array[0.5, 0.95, 0.99]) within group (order by wait) as wait,
       percentile_cont(array[0.5, 0.95, 0.99]) within group (order by run) as run
from queued_jobs.ended_attempt where ended_at >= %(since)s
group by grouping sets ((1), (2), ()) order by 2, 1
