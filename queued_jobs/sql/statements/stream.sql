-- What a job has emitted after the chunk `after`, in order: at most `n` chunks, and not much more than `max_size` of them.
-- 0 rows: not the user's job. One without a chunk: nothing new. `first_seq` is the oldest chunk that is kept.
with own as (select id from queued_jobs.job where id = %(id)s and (%(any_user)s or user_id = %(user_id)s)),
head as (select last_seq from own join queued_jobs.stream on job_id = own.id),
following as (
  select seq, topic, text, skipped, starts_at, emitted_at from queued_jobs.chunk
  where job_id = (select id from own) and seq > %(after)s and (%(topic)s::text is null or topic = %(topic)s)
  order by seq limit %(n)s),
page as (
  select seq, topic, text, skipped, emitted_at from (
    select seq, topic, text, skipped, emitted_at, starts_at - first_value(starts_at) over (order by seq) as distance
    from following) measured
  where distance < %(max_size)s)
select coalesce(head.last_seq, 0) as last_seq,
       coalesce((select seq from queued_jobs.chunk where job_id = own.id order by seq limit 1), head.last_seq + 1, 1) as first_seq,
       page.seq, page.topic, page.text, page.skipped, page.emitted_at
from own left join head on true left join page on true
order by page.seq
