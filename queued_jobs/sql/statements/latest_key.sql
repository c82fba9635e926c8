-- The greatest idempotency key with this prefix among a user's jobs of a kind: for times in ISO 8601, the latest.
select idempotency_key from queued_jobs.job
where user_id = %(user_id)s and kind = %(kind)s and idempotency_key is not null and starts_with(idempotency_key, %(prefix)s)
order by idempotency_key desc limit 1
