-- What the bell shows: a page of the owner's uncleared jobs, newest first, and the counts over all of them, in one snapshot.
-- Returns at least one row; its job columns are null if the page is empty.
with counted as (
  select count(*) filter (where finished_at is not null and seen_at is null) as unseen,
         count(*) filter (where finished_at is null) as running
  from queued_jobs.job where user_id = %(user_id)s and cleared_at is null),
page as (
  select job_columns from queued_jobs.job
  where user_id = %(user_id)s and cleared_at is null
    and (created_at, id) < (%(before_created)s, %(before_id)s)
  order by created_at desc, id desc limit %(limit)s)
select counted.unseen as bell_unseen, counted.running as bell_running, clock_timestamp() as bell_now,
       page.job_columns
from counted left join page on true
order by page.created_at desc, page.id desc
