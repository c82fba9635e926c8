-- The owner's name when the job was started, for people who may see all jobs: never to decide about access. Null if it is unknown.
alter table queued_jobs.job add column if not exists user_name text check (length(user_name) between 1 and 200);
