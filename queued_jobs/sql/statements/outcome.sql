-- After a finish of 0 rows: an earlier try may have been stored although its reply was lost. 0 rows: it was not, the lease is lost.
select j.job_columns from queued_jobs.attempt a join queued_jobs.job j on j.id = a.job_id
where a.job_id = %(id)s and a.lease_token = %(token)s and a.outcome in ('succeeded','failed','cancelled')
