-- The job if it has ended, for callers that await its result: polled, so of a job that has not ended only the status is read.
-- 0 rows: there is no such job. A row of nulls: it has not ended.
select ended.job_columns
from queued_jobs.job asked
left join queued_jobs.job ended on ended.id = asked.id and ended.status in ('succeeded','failed','cancelled','aborted')
where asked.id = %(id)s
