-- How far a user's quotas are used; 1 row. In a transaction, whose end lets the next start of the same user go on.
select active, today, waiting, greatest(0, extract(epoch from next_day_at - clock_timestamp()))::float8 as day_wait
from queued_jobs.quota_use(%(user_id)s, %(most_active)s, %(most_a_day)s, %(most_waiting)s)
