-- After a claim of 0 rows: this worker cannot run the kind or its schema_version (rolling deployment). Not an attempt.
-- 0 rows also for a job of another kind's queue: the message was forged or moved, and the job's own message is on its way. And for
-- one that waits for its kind to be resumed.
-- Waits 30 s, doubling up to 10 min; give_up = 147 is about 24 h.
update queued_jobs.job
set status = case when resend_count >= %(give_up)s then 'aborted' else status end,
    finished_at = case when resend_count >= %(give_up)s then clock_timestamp() end,
    error = case when resend_count >= %(give_up)s
                 then jsonb_build_object('type', 'no-handler', 'message',
                   format('No worker could run version %%s of the kind %%s for a day.', schema_version, kind)) else error end,
    available_at = clock_timestamp() + make_interval(secs => least(600, 30 * power(2, least(resend_count, 5)))),
    next_send_at = clock_timestamp(), parked_at = clock_timestamp(), sent_gen = dispatch_gen - 1, resend_count = resend_count + 1, version = version + 1
where id = %(id)s and dispatch_gen = %(gen)s and status in ('pending','retrying')
  and (%(queues)s::text[] is null or queue = any(%(queues)s)) and available_at <= clock_timestamp() + interval '1 second'
  and paused_at is null and not (kind = %(kind)s and schema_version <= %(schema_version)s)
returning job_columns
