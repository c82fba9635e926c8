-- A page of matching jobs, newest first, without their bodies. Null filters are off; plan it for the actual values.
-- No index covers queue, owner's name and text: up to `examined` jobs are checked for them, and the last one checked is returned even if it does
-- not match, as the position to continue from. A job whose texts have `signs` of secrets is returned with these texts, whatever the
-- text to search for: the caller compares what is left of them without the secrets.
select id, kind, queue, user_id, user_name, status, version, attempt, max_attempts, paused_at, cancel_requested, progress, progress_message,
       created_at, available_at, started_at, finished_at,
       error->>'type' as error_type, left(error->>'message', 2000) as error_message, matches, place, place = %(examined)s as is_last,
       is_masked, case when is_masked then request::text end as readable_request,
       case when is_masked then array[error->>'type', error->>'message', case when %(traces)s then error->>'traceback' end] end
         as readable_error
from (
  select id, kind, queue, user_id, user_name, status, version, attempt, max_attempts, paused_at, cancel_requested, progress, progress_message,
         created_at, available_at, started_at, finished_at, request, error, place, is_masked,
         (%(queue)s::text is null or queue = %(queue)s)
         and (%(user_name)s::text is null or strpos(lower(user_name), lower(%(user_name)s)) > 0)
         and (%(text)s::text is null or is_masked or strpos(lower(request::text), lower(%(json_text)s)) > 0
              or strpos(lower(error_text), lower(%(text)s)) > 0) as matches
  from (
    select id, kind, queue, user_id, user_name, status, version, attempt, max_attempts, paused_at, cancel_requested, progress, progress_message,
           created_at, available_at, started_at, finished_at, request, error, error_text,
           row_number() over (order by created_at desc, id desc) as place,
           %(signs)s::text is not null and (request::text ~* %(signs)s or error_text ~* %(signs)s) as is_masked
    from queued_jobs.job cross join lateral (
      select concat_ws(e'\n', error->>'type', error->>'message', case when %(traces)s then error->>'traceback' end) as error_text) said
    where (created_at, id) < (%(before_created)s, %(before_id)s)
      and (%(id_from)s::job_key is null or id between %(id_from)s and %(id_to)s)
      and (%(kind)s::text is null or kind = %(kind)s)
      and (%(user_id)s::text is null or user_id = %(user_id)s)
      and (%(statuses)s::text[] is null or status = any(%(statuses)s))
      and (%(created_from)s::timestamptz is null or created_at >= %(created_from)s)
      and (%(error_type)s::text is null or error->>'type' = %(error_type)s)
      and (%(attempts_over)s::int is null or attempt > %(attempts_over)s)
    order by created_at desc, id desc limit %(examined)s) examined_job) candidate
where matches or place = %(examined)s
order by created_at desc, id desc limit %(limit)s
