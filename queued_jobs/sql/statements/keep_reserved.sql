-- Extend the reservations of a sender that takes long, and say which messages are still its own: those whose reservation has the same
-- end (`until`) as when it took them. The others were taken by another sender, or no longer need a message.
-- Rows are locked in order of their ids, see mark_sent.sql.
with kept as (
  select j.id
  from unnest(%(ids)s::job_key[], %(gens)s::bigint[], %(untils)s::timestamptz[]) as own (id, gen, until)
  join queued_jobs.job j on j.id = own.id
  where j.dispatch_gen = own.gen and j.sent_gen < own.gen and j.next_send_at = own.until and j.parked_at is null
    and j.status in ('pending','retrying')
  order by j.id for update of j)
update queued_jobs.job j
set next_send_at = clock_timestamp() + make_interval(secs => %(hold)s)
from kept where j.id = kept.id
returning j.id, j.next_send_at
