-- Kinds that an operator has paused: no attempt of them starts. Workers of the version before do not look here, and go on.
create table if not exists queued_jobs.pause (
  kind    text primary key check (kind ~ '^[a-z][a-z0-9-]{0,62}$'),
  since   timestamptz not null default clock_timestamp(),
  subject text not null check (length(subject) between 1 and 200)
);
-- Since when a job waits for its kind to be resumed; then its message is sent again, see wake_paused.sql. Null in rows of older code.
alter table queued_jobs.job add column if not exists paused_at timestamptz;
create index job_paused on queued_jobs.job (kind, created_at, id) where paused_at is not null and finished_at is null;
