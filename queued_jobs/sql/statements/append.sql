-- Append what a body has emitted, and delete the oldest chunks beyond `max_size`. 0 rows: the lease is lost. The job's row stays
-- locked until the commit, so no other attempt begins before.
-- Without `emitted_at` nothing was appended: sent again after an unknown outcome, the same chunks are not appended twice: `written` is how many of this attempt come before them.
with mine as (
  select id, dispatch_gen from queued_jobs.job
  where id = %(id)s and lease_token = %(token)s and status = 'running' for no key update),
head as (
  insert into queued_jobs.stream as head (job_id, gen, written, last_seq, ends_at)
  select id, dispatch_gen, %(n)s::int, %(n)s::int, %(size)s::bigint from mine
  on conflict (job_id) do update
  set gen = excluded.gen, written = %(written)s::int + excluded.written, last_seq = head.last_seq + excluded.last_seq,
      ends_at = head.ends_at + excluded.ends_at
  where case when head.gen = excluded.gen then head.written else 0 end = %(written)s::int
  returning job_id, last_seq, ends_at, clock_timestamp() as now),
added as (
  insert into queued_jobs.chunk (job_id, seq, topic, text, skipped, starts_at, emitted_at)
  select head.job_id, head.last_seq - %(n)s::int + new.number, new.topic, new.text, new.skipped,
         head.ends_at - %(size)s::bigint + new.starts_at, head.now
  from head, unnest(%(topics)s::text[], %(texts)s::text[], %(skips)s::int[], %(starts)s::bigint[])
    with ordinality as new (topic, text, skipped, starts_at, number)),
oldest as (  -- at most as many as the new ones can take the place of
  select old.job_id, old.seq
  from head cross join lateral (
    select job_id, seq, starts_at from queued_jobs.chunk
    where job_id = head.job_id and head.ends_at > %(max_size)s::bigint order by seq limit %(most)s) old
  where old.starts_at < head.ends_at - %(max_size)s::bigint),
gone as (delete from queued_jobs.chunk old using oldest where old.job_id = oldest.job_id and old.seq = oldest.seq)
select coalesce(head.last_seq, known.last_seq, 0) as last_seq, head.now as emitted_at
from mine left join head on head.job_id = mine.id left join queued_jobs.stream known on known.job_id = mine.id
