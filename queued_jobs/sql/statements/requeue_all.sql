-- requeue.sql for many jobs and an admin: those of these jobs that ended badly before as_of. One that ended again since is left out.
update queued_jobs.job
set status = 'pending', attempt = 0, lost_count = 0, resend_count = 0, error = null, cancel_requested = false,
    progress = null, progress_message = null, started_at = null, finished_at = null, seen_at = null, cleared_at = null,
    dispatch_gen = dispatch_gen + 1, available_at = clock_timestamp(), next_send_at = clock_timestamp(), version = version + 1
where id = any(%(ids)s) and status in ('failed','aborted','cancelled') and finished_at < %(as_of)s
returning *
