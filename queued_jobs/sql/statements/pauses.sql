-- The paused kinds.
select kind, since, subject from queued_jobs.pause order by kind
