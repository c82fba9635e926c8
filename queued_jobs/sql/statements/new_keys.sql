-- Keys for `count` new jobs, if Postgres generates them.
select nextval(pg_get_serial_sequence('queued_jobs.job', 'id')) as id from generate_series(1, %(count)s)
