-- Save how far the body is. 0 rows: the lease is lost. The job's row stays locked until the commit, so no other attempt begins before.
-- Saving an equal value does not advance the job.
with mine as (
  select id, dispatch_gen from queued_jobs.job
  where id = %(id)s and lease_token = %(token)s and status = 'running' for no key update)
insert into queued_jobs.cursor as saved (job_id, gen, value, max_resumes)
select id, dispatch_gen, %(value)s, %(max_resumes)s from mine
on conflict (job_id) do update
set gen = case when saved.value = excluded.value then saved.gen else excluded.gen end,
    value = excluded.value, max_resumes = excluded.max_resumes
returning gen
