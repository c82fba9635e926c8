-- The host moved a message to the poison queue before its sender marked it as sent. Park the job: it needs another message, and a late
-- mark would hide that. Does not count as a poisoned send, see poisoned.sql.
update queued_jobs.job set parked_at = clock_timestamp()
where id = %(id)s and dispatch_gen = %(gen)s and status in ('pending','retrying')
  and (%(queues)s::text[] is null or queue = any(%(queues)s))
  and sent_gen < dispatch_gen and parked_at is null and available_at <= clock_timestamp() + interval '1 second'
returning id
