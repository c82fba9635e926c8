-- One more use of a key; 1 row: 0 if it was noted, else the seconds until it may be tried again.
select queued_jobs.use(%(key)s, %(most)s, make_interval(secs => %(within)s)) as wait
