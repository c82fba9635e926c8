-- Where these jobs stand now. Those that are gone are left out.
select id, status, cancel_requested from queued_jobs.job where id = any(%(ids)s)
