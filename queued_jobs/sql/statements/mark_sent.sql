-- Record that these generations were sent. 0 rows (already claimed, put in line, or a newer generation) is fine: a claim proves the send.
update queued_jobs.job j
set sent_gen = sent.gen, next_send_at = clock_timestamp()
from unnest(%(ids)s::job_key[], %(gens)s::bigint[]) as sent (id, gen)
where j.id = sent.id and j.dispatch_gen = sent.gen and j.sent_gen < sent.gen and j.parked_at is null
