-- Delete audit records of more than 400 days ago, in small batches.
delete from queued_jobs.audit
where id in (select id from queued_jobs.audit
             where at < statement_timestamp() - interval '400 days' order by at limit %(n)s for update skip locked)
returning id
