-- The jobs of a batch, in the order in which they were queued.
select job_columns from queued_jobs.job where batch_id = %(batch_id)s order by created_at, id
