-- One job, for its owner or for an admin (any_user).
select job_columns from queued_jobs.job where id = %(id)s and (%(any_user)s or user_id = %(user_id)s)
