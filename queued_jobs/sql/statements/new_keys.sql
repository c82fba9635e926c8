-- Keys for so many new jobs, where Postgres counts them up.
select nextval(pg_get_serial_sequence('queued_jobs.job', 'id')) as id from generate_series(1, %(count)s)
