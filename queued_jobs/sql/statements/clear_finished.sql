-- The owner removed all finished jobs from the bell, at one time, by which undo finds them.
update queued_jobs.job set cleared_at = statement_timestamp(), seen_at = coalesce(seen_at, statement_timestamp()), version = version + 1
where user_id = %(user_id)s and cleared_at is null and finished_at is not null
returning id, version, cleared_at
