-- Delete recorded uses that no longer count for any limit, in small batches: new uses delete them too, but may be rare.
delete from queued_jobs.recent_use
where key in (select key from queued_jobs.recent_use
              where last_at < statement_timestamp() - interval '1 day' order by last_at limit %(n)s for update skip locked)
returning key
