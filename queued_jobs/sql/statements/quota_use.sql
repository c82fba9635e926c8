-- How much of their quotas a user has used; 1 row. Run in a transaction: until it ends, other starts of the same user wait.
select active, today, waiting, greatest(0, extract(epoch from next_day_at - clock_timestamp()))::float8 as day_wait
from queued_jobs.quota_use(%(user_id)s, %(max_active)s, %(max_per_day)s, %(max_waiting)s)
