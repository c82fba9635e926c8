-- Record that these generations were sent. 0 rows are fine: already claimed, a newer generation, or parked. A job is parked if its
-- message was answered before its sender marked it: it is in line, not due, without a handler, or poisoned, and needs another message.
update queued_jobs.job j
set sent_gen = sent.gen, next_send_at = clock_timestamp()
from unnest(%(ids)s::job_key[], %(gens)s::bigint[]) as sent (id, gen)
where j.id = sent.id and j.dispatch_gen = sent.gen and j.sent_gen < sent.gen and j.parked_at is null
