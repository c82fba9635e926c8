-- Extend the lease, store the latest progress, and read the cancel request. 0 rows: the lease is lost, so write nothing more.
update queued_jobs.job
set lease_until = clock_timestamp() + make_interval(secs => %(lease)s),
    progress = coalesce(%(progress)s, progress), progress_message = coalesce(%(message)s, progress_message),
    version = version + case when (coalesce(%(progress)s, progress), coalesce(%(message)s, progress_message))
                                  is distinct from (progress, progress_message) then 1 else 0 end
where id = %(id)s and lease_token = %(token)s and status = 'running'
returning job_columns
