-- Record that these generations were sent. 0 rows are fine: already claimed, a newer generation, taken by another sender since (each
-- reservation has a different end, `until`), or parked. A job is parked if its message was answered before its sender marked it: it is
-- in line, not due, without a handler, or poisoned, and needs another message.
-- Rows are locked in order of their ids, as in every statement that waits for several.
with sent as (
  select j.id, mark.gen
  from unnest(%(ids)s::job_key[], %(gens)s::bigint[], %(untils)s::timestamptz[]) as mark (id, gen, until)
  join queued_jobs.job j on j.id = mark.id
  where j.dispatch_gen = mark.gen and j.sent_gen < mark.gen and j.next_send_at = mark.until and j.parked_at is null
  order by j.id for update of j)
update queued_jobs.job j
set sent_gen = sent.gen, next_send_at = clock_timestamp()
from sent where j.id = sent.id
