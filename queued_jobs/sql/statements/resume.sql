-- Resume a kind. 0 rows: it is not paused. Its jobs are sent by wake_paused.sql.
with resumed as (
  delete from queued_jobs.pause where kind = %(kind)s
  returning kind, since, subject)
select kind, since, subject from resumed
