-- Undo of "clear": only what was cleared since `since`, so that an undo never brings back older rows.
update queued_jobs.job set cleared_at = null, version = version + 1
where user_id = %(user_id)s and id = any(%(ids)s) and cleared_at >= %(since)s
returning job_columns
