-- After a claim of 0 rows: the allowed number of jobs with its concurrency key are running, or older jobs wait for their slots. It is
-- sent again when one of them ends; if that goes unnoticed, after 30 seconds for each job ahead, ten minutes at most. So more than
-- twenty of them need not be counted, nor more than `max_concurrent`. A job already in line is not postponed: further messages,
-- copied or forged, delay no job.
with line as (
  select (select count(*) from queued_jobs.job other
          where other.kind = j.kind and other.concurrency_key = j.concurrency_key and other.status = 'running')
       + (select count(*) from (
            select from queued_jobs.job older
            where older.kind = j.kind and older.concurrency_key = j.concurrency_key
              and older.status in ('pending','retrying') and older.available_at <= clock_timestamp()
              and (older.created_at, older.id) < (j.created_at, j.id)
            order by older.created_at, older.id limit greatest(20, %(max_concurrent)s)) counted) as ahead
  from queued_jobs.job j where j.id = %(id)s and j.concurrency_key is not null)
update queued_jobs.job j
set sent_gen = dispatch_gen - 1, parked_at = clock_timestamp(),
    next_send_at = least(case when parked_at is not null then next_send_at end, clock_timestamp() + make_interval(secs =>
      case when line.ahead < %(max_concurrent)s then 0 else least(600, 30 * line.ahead) end))
from line
where j.id = %(id)s and j.dispatch_gen = %(gen)s and j.status in ('pending','retrying')
  and j.kind = %(kind)s and j.schema_version <= %(schema_version)s
  and j.available_at <= clock_timestamp() + interval '1 second'
returning line.ahead < %(max_concurrent)s as its_turn
