-- What bodies have saved, so that a later attempt resumes there: one row for each job that has saved something.
create table if not exists queued_jobs.cursor (
  job_id      job_key primary key references queued_jobs.job (id) on delete cascade,
  -- the generation whose attempt has last changed it: that attempt has advanced
  gen         int not null,
  value       jsonb not null,
  -- attempts that ended without counting because they had advanced, and how many of them may
  resumes     int not null default 0,
  max_resumes int not null
);
