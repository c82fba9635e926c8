-- What the owner cleared together at this very time.
select id from queued_jobs.job where user_id = %(user_id)s and cleared_at = %(since)s order by id
