-- The owner opened the bell.
update queued_jobs.job set seen_at = clock_timestamp(), version = version + 1
where user_id = %(user_id)s and id = any(%(ids)s) and seen_at is null and finished_at is not null
returning job_columns
