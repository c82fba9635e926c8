-- Delete the ended jobs of a user with their attempts, cursors and chunks, in small batches, and what counted for the user's quota.
-- A job that still has its result is left until that was dropped, and so is the latest occurrence of a schedule, see prune.sql.
with old as (
  select id from queued_jobs.job ended
  where user_id = %(user_id)s and finished_at is not null and result is null
    and (idempotency_key is null or not starts_with(idempotency_key, 'schedule:') or exists (
      select from queued_jobs.job later
      where later.user_id = ended.user_id and later.kind = ended.kind and later.idempotency_key > ended.idempotency_key
        and starts_with(later.idempotency_key, 'schedule:')))
  order by created_at, id limit %(n)s for update skip locked),
few as (  -- see prune.sql
  select id from (
    select old.id, sum(head.last_seq) over (order by old.id) as chunks, row_number() over (order by old.id) as place
    from old left join queued_jobs.stream head on head.job_id = old.id) counted
  where coalesce(chunks, 0) <= %(max_chunks)s or place = 1),
runs as (delete from queued_jobs.past_run where user_id = %(user_id)s)
delete from queued_jobs.job j using few where j.id = few.id
returning j.id
