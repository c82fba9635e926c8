-- The owner removed finished jobs from the bell. The rows stay for the dashboard.
update queued_jobs.job set cleared_at = clock_timestamp(), seen_at = coalesce(seen_at, clock_timestamp()), version = version + 1
where user_id = %(user_id)s and id = any(%(ids)s) and cleared_at is null and finished_at is not null
returning id, version, cleared_at
