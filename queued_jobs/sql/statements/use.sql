-- Record a use of a key. 1 row: 0 if it was recorded, else the seconds until the next one is allowed.
select queued_jobs.use(%(key)s, %(most)s, make_interval(secs => %(within)s)) as wait
