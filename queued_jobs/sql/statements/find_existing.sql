-- After an enqueue that skipped jobs: for each of them (new_id) the job that conflicts with it. same_request = false under the
-- same idempotency key means HTTP 422; the original input may be equal even if defaults led to a different request. Not in the
-- result: jobs whose conflicting job (by unique_key) has ended since; enqueue these again.
select found.job_columns, found.same_key, new.id as new_id,
       found.request = new.request or coalesce(found.asked = new.asked, false) as same_request, found.user_id = new.user_id as is_mine
from jsonb_to_recordset(%(jobs)s) as new (
  id job_key, kind text, user_id text, idempotency_key text, unique_key text, request jsonb, asked text)
cross join lateral (
  select job_columns, asked, true as same_key from queued_jobs.job
  where user_id = new.user_id and kind = new.kind and idempotency_key = new.idempotency_key
  union all
  select job_columns, asked, false from queued_jobs.job
  where kind = new.kind and unique_key = new.unique_key and status in ('pending','running','retrying')
  order by same_key desc limit 1) found
