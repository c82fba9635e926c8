-- The running attempts with their leases, by worker: what each of them does now. Reads all that run, and returns `limit`.
select worker_id, id, kind, attempt, started_at, lease_until, lease_until < clock_timestamp() as is_overdue
from queued_jobs.job where status = 'running'
order by worker_id, started_at, id limit %(limit)s
