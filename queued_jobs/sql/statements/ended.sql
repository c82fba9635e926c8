-- The job if it has ended, for whoever awaits its result: asked again and again, so a job that has not ended is read no further than its
-- status. 0 rows: there is no such job. A row of nulls: it has not ended.
select ended.job_columns
from queued_jobs.job asked
left join queued_jobs.job ended on ended.id = asked.id and ended.status in ('succeeded','failed','cancelled','aborted')
where asked.id = %(id)s
