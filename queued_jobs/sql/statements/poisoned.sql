-- The host moved this job's message to the poison queue. A running job is left to its lease; a waiting one is sent again,
-- and aborted once that has been tried max_resend times.
update queued_jobs.job
set status = case when resend_count >= %(max_resend)s then 'aborted' else status end,
    finished_at = case when resend_count >= %(max_resend)s then clock_timestamp() end,
    error = case when resend_count >= %(max_resend)s
                 then jsonb_build_object('type', 'poison', 'message',
                   format('The queue %%s gave up on its message again and again.', queue)) else error end,
    sent_gen = dispatch_gen - 1, resend_count = resend_count + 1, next_send_at = clock_timestamp() + interval '30 seconds',
    parked_at = clock_timestamp(), version = version + 1
where id = %(id)s and dispatch_gen = %(gen)s and status in ('pending','retrying')
returning job_columns
