-- The host moved this job's message to the poison queue. A running job keeps its lease. A waiting one is sent again after 30
-- seconds, then after 10 minutes, doubling, and aborted after max_resend of these sends: after two and a half hours at the earliest.
-- Each send counts once, however many copies of its message arrive and whatever sent them: not before it was marked (see
-- poisoned_unmarked.sql), not while it must still be invisible, and not before the wait after the previous one is over.
with given_up as (
  select id, times, times > %(max_resend)s as for_good,
         clock_timestamp() + make_interval(secs => case when times = 1 then 30 else 600 * power(2, times - 2) end) as again_at
  from queued_jobs.job waiting, lateral (select case when poisoned_gen = dispatch_gen then poisoned_count + 1 else 1 end as times) counted
  where id = %(id)s and dispatch_gen = %(gen)s and status in ('pending','retrying')
    and (%(queues)s::text[] is null or queue = any(%(queues)s))
    and sent_gen >= dispatch_gen and available_at <= clock_timestamp() + interval '1 second'
    and (poisoned_gen < dispatch_gen or poisoned_until <= clock_timestamp())
  for update of waiting)
update queued_jobs.job j
set status = case when for_good then 'aborted' else status end,
    finished_at = case when for_good then clock_timestamp() end,
    error = case when for_good then jsonb_build_object('type', 'poison', 'message',
                   format('The message of this job was moved to the poison queue of %%s too often.', queue)) else error end,
    poisoned_gen = dispatch_gen, poisoned_count = times, poisoned_until = again_at,
    sent_gen = dispatch_gen - 1, next_send_at = again_at, parked_at = clock_timestamp(), version = version + 1
from given_up where j.id = given_up.id
returning j.job_columns
