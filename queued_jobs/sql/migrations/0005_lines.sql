-- Who stands in line, by their line: the sweeper looks into each line that has somebody in it, and into no other.
create index job_parked on queued_jobs.job (kind, concurrency_key, created_at, id)
  where concurrency_key is not null and parked_at is not null and status in ('pending','retrying');
