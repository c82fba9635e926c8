-- For how long the oldest job of each queue has waited since it was due, in seconds. Looks at the 10,000 oldest that wait.
select queue, extract(epoch from clock_timestamp() - min(available_at))::float8 as age
from (select queue, available_at from queued_jobs.job
      where status in ('pending','running','retrying') and status <> 'running'
      order by created_at, id limit 10000) waiting
where available_at <= clock_timestamp()
group by queue
