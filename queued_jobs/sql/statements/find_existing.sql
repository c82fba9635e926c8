-- After an enqueue of 0 rows: the job that stands in its way. same_request false under the same idempotency key means 422.
-- 0 rows: the other job ended meanwhile (unique_key): enqueue again.
select *, request = %(request)s as same_request, user_id = %(user_id)s as is_mine,
       idempotency_key is not distinct from %(idempotency_key)s and user_id = %(user_id)s as same_key
from queued_jobs.job
where kind = %(kind)s
  and ((user_id = %(user_id)s and idempotency_key = %(idempotency_key)s)
       or (unique_key = %(unique_key)s and status in ('pending','running','retrying')))
order by same_key desc, created_at limit 1
