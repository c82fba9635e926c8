-- The attempts of one job, for its owner or for an admin (any_user): one row per claim, oldest first.
select a.attempt_columns from queued_jobs.attempt a join queued_jobs.job j on j.id = a.job_id
where j.id = %(id)s and (%(any_user)s or j.user_id = %(user_id)s)
order by a.gen
