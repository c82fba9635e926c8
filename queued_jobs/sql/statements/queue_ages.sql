-- For each queue, how long its oldest job has been due, in seconds; jobs waiting in line for others are omitted.
-- Looks at the 10,000 oldest waiting jobs.
select queue, extract(epoch from clock_timestamp() - min(available_at))::float8 as age
from (select queue, available_at from queued_jobs.job
      where status in ('pending','running','retrying') and status <> 'running' and available_at <= statement_timestamp()
        and parked_at is null
      order by created_at, id limit 10000) waiting
group by queue
