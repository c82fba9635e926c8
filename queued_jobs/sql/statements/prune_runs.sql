-- Delete past runs that no longer count for the quota of a day, in small batches.
delete from queued_jobs.past_run
where id in (select id from queued_jobs.past_run
             where at < statement_timestamp() - interval '1 day' order by at limit %(n)s for update skip locked)
returning id
