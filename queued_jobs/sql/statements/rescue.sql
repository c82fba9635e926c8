-- Reclaim jobs whose worker is gone (lease expired) or whose body hangs (timeout exceeded). Jobs without attempts left end here.
-- A lost attempt that has advanced its cursor does not count, up to `max_resumes` of them, see release.sql.
with lost as (
  select id, lease_token, dispatch_gen, worker_id, lease_until < clock_timestamp() as worker_lost,
         (lease_until < clock_timestamp() and exists (
           select from queued_jobs.cursor saved
           where saved.job_id = lost.id and saved.gen = lost.dispatch_gen and saved.resumes < saved.max_resumes))::int as resumes
  from queued_jobs.job lost
  where status = 'running' and (lease_until < clock_timestamp() or deadline_at < clock_timestamp())
  order by lease_until limit %(n)s for update skip locked),
done as (
  update queued_jobs.job j
  set lost_count = j.lost_count + case when lost.worker_lost then 1 - lost.resumes else 0 end,
      uncounted = j.uncounted + lost.resumes, max_attempts = j.max_attempts + lost.resumes,
      status = case when j.cancel_requested then 'cancelled'
                    when lost.resumes = 1 then 'retrying'
                    when lost.worker_lost and (j.lost_count + 1 >= %(max_lost)s or j.attempt >= j.max_attempts) then 'aborted'
                    when not lost.worker_lost and j.attempt >= j.max_attempts then 'failed'
                    else 'retrying' end,
      finished_at = case when j.cancel_requested or (lost.resumes = 0 and (j.attempt >= j.max_attempts
                              or (lost.worker_lost and j.lost_count + 1 >= %(max_lost)s))) then clock_timestamp() end,
      error = case when lost.worker_lost
                   then jsonb_build_object('type', 'worker-lost', 'message', format('The worker stopped responding during attempt %%s.', j.attempt))
                   else jsonb_build_object('type', 'timeout', 'message', format('Attempt %%s exceeded its timeout.', j.attempt)) end,
      lease_token = null, lease_until = null, deadline_at = null,
      dispatch_gen = j.dispatch_gen + 1, next_send_at = clock_timestamp(),
      available_at = case when j.cancel_requested or (lost.resumes = 0 and (j.attempt >= j.max_attempts
                               or (lost.worker_lost and j.lost_count + 1 >= %(max_lost)s))) then j.available_at
                          else clock_timestamp() end,
      version = j.version + 1
  from lost
  where j.id = lost.id and j.status = 'running' and j.lease_token = lost.lease_token
  returning j.job_columns),
resumed as (
  update queued_jobs.cursor saved set resumes = saved.resumes + 1 from lost where saved.job_id = lost.id and lost.resumes = 1),
history as (
  update queued_jobs.attempt a
  set outcome = case when lost.worker_lost then 'lost' else 'timeout' end, ended_at = clock_timestamp()
  from lost where a.job_id = lost.id and a.gen = lost.dispatch_gen and a.lease_token = lost.lease_token)
select job_columns from done
