-- The lines of jobs that wait for others with their concurrency key, and in each line those that no message is on its way for. The
-- statements that walk a line name its rows in these words. In the words of job_line and job_parked, `status in (...)`, the index of all
-- unfinished jobs (job_active) would serve them too, and a planner whose statistics know few waiting jobs may read all of them instead.
-- Code of the version before still uses job_line, job_parked and job_held.
create index job_in_line on queued_jobs.job (kind, concurrency_key, created_at, id)
  where concurrency_key is not null and finished_at is null and status <> 'running';
create index job_in_line_parked on queued_jobs.job (kind, concurrency_key, created_at, id)
  where concurrency_key is not null and parked_at is not null and finished_at is null and status <> 'running';
-- The follow-ups of batches that have not ended, for the same reason.
create index job_awaiting on queued_jobs.job (after_batch) where after_batch is not null and finished_at is null;
