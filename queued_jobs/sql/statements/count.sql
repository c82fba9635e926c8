-- Count the matches among the newest `examined` jobs that pass all filters but queue and owner's name: those that the first page of search.sql,
-- whose filters these are, has examined too. With a filter for a text, search.sql counts.
select count(*) filter (where matches) as found, count(*) as examined, clock_timestamp() as counted_at
from (
  select (%(queue)s::text is null or queue = %(queue)s)
         and (%(user_name)s::text is null or strpos(lower(user_name), lower(%(user_name)s)) > 0) as matches
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
