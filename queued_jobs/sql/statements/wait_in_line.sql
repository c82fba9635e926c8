-- After a claim of 0 rows: the allowed number of jobs with its concurrency key are running, or older jobs wait for their slots. It is
-- sent again when one of them ends; if that goes unnoticed, after 30 seconds for each job ahead, ten minutes at most. So more than
-- twenty of them need not be counted, nor more than `max_concurrent`. A job already in line is not postponed: further messages,
-- copied or forged, do not delay it.
-- Those ahead are walked one by one, see next_in_line.sql.
with recursive line as (
  select kind, concurrency_key, created_at as its_created_at, id as its_id, '-infinity'::timestamptz as created_at,
         %(first_key)s::job_key as id, 0 as ahead
  from queued_jobs.job where id = %(id)s and concurrency_key is not null
  union all
  select line.kind, line.concurrency_key, line.its_created_at, line.its_id, following.created_at, following.id, line.ahead + 1
  from line cross join lateral (
    select older.created_at, older.id from queued_jobs.job older
    where older.concurrency_key is not null and older.finished_at is null and older.status <> 'running'
      and older.available_at <= clock_timestamp()
      and (older.kind, older.concurrency_key, older.created_at, older.id)
        > (line.kind, line.concurrency_key, line.created_at, line.id)
      and (older.kind, older.concurrency_key, older.created_at, older.id)
        < (line.kind, line.concurrency_key, line.its_created_at, line.its_id)
    order by older.kind, older.concurrency_key, older.created_at, older.id limit 1) following
  where line.ahead < greatest(20, %(max_concurrent)s)),
counted as (
  select max(ahead) + (select count(*) from queued_jobs.job other where other.kind = line.kind
                       and other.concurrency_key = line.concurrency_key and other.status = 'running') as ahead
  from line group by kind, concurrency_key)
update queued_jobs.job j
set sent_gen = dispatch_gen - 1, parked_at = clock_timestamp(),
    next_send_at = least(case when parked_at is not null then next_send_at end, clock_timestamp() + make_interval(secs =>
      case when counted.ahead < %(max_concurrent)s then 0 else least(600, 30 * counted.ahead) end))
from counted
where j.id = %(id)s and j.dispatch_gen = %(gen)s and j.status in ('pending','retrying')
  and j.kind = %(kind)s and j.schema_version <= %(schema_version)s
  and j.available_at <= clock_timestamp() + interval '1 second'
returning counted.ahead < %(max_concurrent)s as its_turn
