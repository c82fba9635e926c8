-- cancel.sql for many jobs, for an admin: changes those that have not ended and have no cancel request yet.
update queued_jobs.job
set cancel_requested = true,
    status = case when status in ('pending','retrying') then 'cancelled' else status end,
    finished_at = case when status in ('pending','retrying') then clock_timestamp() end,
    version = version + 1
where id = any(%(ids)s) and status in ('pending','retrying','running') and not cancel_requested
returning job_columns
