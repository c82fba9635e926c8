-- A digest of what the caller has set in a request: under the same idempotency key it is compared instead of the request, which
-- defaults may have made another. Null in rows of older code.
alter table queued_jobs.job add column asked text;
