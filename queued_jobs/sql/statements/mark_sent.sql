-- Record that these generations were sent. 0 rows are fine: already claimed, a newer generation, or parked, because that message has
-- been answered before its sender came to say so: in line, too early, no handler, or poisoned. The job is owed another one then.
update queued_jobs.job j
set sent_gen = sent.gen, next_send_at = clock_timestamp()
from unnest(%(ids)s::job_key[], %(gens)s::bigint[]) as sent (id, gen)
where j.id = sent.id and j.dispatch_gen = sent.gen and j.sent_gen < sent.gen and j.parked_at is null
