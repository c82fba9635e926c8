-- Take ended jobs of a user that still have a result, and hold each for a minute, in case its data cannot be removed now.
update queued_jobs.job
set next_send_at = clock_timestamp() + interval '1 minute'
where id in (select id from queued_jobs.job
             where user_id = %(user_id)s and result is not null and next_send_at < statement_timestamp()
             order by created_at, id limit %(n)s for update skip locked)
returning job_columns
