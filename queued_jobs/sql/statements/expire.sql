-- Drop the results of these jobs, and record when they were dropped.
update queued_jobs.job
set result = null, expired_at = clock_timestamp(), version = version + 1
where id = any(%(ids)s) and status = 'succeeded' and result is not null
returning job_columns
