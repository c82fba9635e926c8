-- requeue.sql for many jobs, for an admin: changes those that ended badly before as_of. Jobs that have ended again since are skipped.
-- Rows are locked in order of their ids, see mark_sent.sql.
with chosen as (
  select id from queued_jobs.job
  where id = any(%(ids)s) and status in ('failed','aborted','cancelled') and finished_at < %(as_of)s
  order by id for update),
again as (
  update queued_jobs.job job
  set status = 'pending', max_attempts = attempt + max_attempts - uncounted, uncounted = attempt, lost_count = 0, resend_count = 0, error = null, cancel_requested = false,
      progress = null, progress_message = null, started_at = null, finished_at = null, seen_at = null, cleared_at = null,
      dispatch_gen = dispatch_gen + 1, version = version + 1, parked_at = null, paused_at = null,
      queue = coalesce((
        select present.queue from unnest(%(kinds)s::text[], %(queues)s::text[], %(suffixes)s::text[]) present (kind, queue, suffix)
        where present.kind = job.kind and right(job.queue, length(present.suffix)) = present.suffix
        order by present.queue = job.queue desc, length(present.suffix) desc limit 1), job.queue),
      (available_at, next_send_at) = (
        select case when waits then '9999-12-31Z' else clock_timestamp() end,
               case when waits then '9999-12-31Z' else clock_timestamp() + make_interval(secs => %(hold)s) end
        from (select exists (select from queued_jobs.job member
                             where member.batch_id = job.after_batch and member.finished_at is null) as waits) again)
  from chosen where job.id = chosen.id
  returning job.job_columns),
resumed as (update queued_jobs.cursor saved set resumes = 0 from again where saved.job_id = again.id),
counted as (insert into queued_jobs.past_run (user_id) select user_id from again)
select job_columns from again
