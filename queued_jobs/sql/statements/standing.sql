-- The current state of these jobs. Deleted jobs are omitted.
select id, status, cancel_requested from queued_jobs.job where id = any(%(ids)s)
