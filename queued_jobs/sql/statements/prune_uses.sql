-- Delete notes of uses that count for no limit any more, in small batches: newcomers delete them too, but there may be few of those.
delete from queued_jobs.recent_use
where key in (select key from queued_jobs.recent_use
              where last_at < statement_timestamp() - interval '1 day' order by last_at limit %(n)s for update skip locked)
returning key
