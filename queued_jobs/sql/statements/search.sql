-- A page of matching jobs, newest first, without their bodies. Null filters are off; plan it for the actual values.
-- No index covers queue and text: up to `examined` jobs are checked for them, and the last one checked is returned even if it does
-- not match, as the position to continue from.
select id, kind, queue, user_id, status, version, attempt, max_attempts, cancel_requested, progress, progress_message,
       created_at, available_at, started_at, finished_at,
       error->>'type' as error_type, left(error->>'message', 300) as error_message, matches, place = %(examined)s as is_last
from (
  select id, kind, queue, user_id, status, version, attempt, max_attempts, cancel_requested, progress, progress_message,
         created_at, available_at, started_at, finished_at, error, row_number() over (order by created_at desc, id desc) as place,
         (%(queue)s::text is null or queue = %(queue)s)
         and (%(text)s::text is null or strpos(lower(request::text), lower(%(text)s)) > 0
              or strpos(lower(error::text), lower(%(text)s)) > 0) is true as matches
  from queued_jobs.job
  where (created_at, id) < (%(before_created)s, %(before_id)s)
    and (%(id_from)s::job_key is null or id between %(id_from)s and %(id_to)s)
    and (%(kind)s::text is null or kind = %(kind)s)
    and (%(user_id)s::text is null or user_id = %(user_id)s)
    and (%(statuses)s::text[] is null or status = any(%(statuses)s))
    and (%(created_from)s::timestamptz is null or created_at >= %(created_from)s)
    and (%(error_type)s::text is null or error->>'type' = %(error_type)s)
    and (%(attempts_over)s::int is null or attempt > %(attempts_over)s)
  order by created_at desc, id desc limit %(examined)s) candidate
where matches or place = %(examined)s
order by created_at desc, id desc limit %(limit)s
