-- Delete old rejected messages (those that named no job), in small batches.
delete from queued_jobs.rejected_message
where id in (select id from queued_jobs.rejected_message
             where received_at < statement_timestamp() - make_interval(secs => %(keep)s) order by received_at limit %(n)s for update skip locked)
returning id
