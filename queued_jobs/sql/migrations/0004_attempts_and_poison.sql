-- Attempt numbers that never come back, and messages that count once for each time that they were really sent.

-- Attempts that do not count against the limit: those that were released, and all before the last retry by hand. max_attempts is
-- the number of the last attempt that the job may have, so it grows with them, and max_attempts - uncounted stays what its kind
-- allows.
alter table queued_jobs.job add column uncounted int not null default 0;
do $$
declare
  job regclass := 'queued_jobs.job';
  old_limit name;
begin
  select c.conname into strict old_limit
  from pg_constraint c join pg_attribute a on a.attrelid = c.conrelid and c.conkey = array[a.attnum]
  where c.conrelid = job and c.contype = 'c' and a.attname = 'max_attempts';
  execute format('alter table %s drop constraint %I', job, old_limit);
end $$;
-- not valid: the rows that are there fulfil the old one, and need not be read for this
alter table queued_jobs.job add constraint job_attempts_limited check (max_attempts - uncounted between 1 and 50) not valid;

-- What the host gave up on: the last generation of which it moved messages to the poison queue, how many of its sends, and until
-- when no further one counts.
alter table queued_jobs.job add column poisoned_gen bigint not null default 0;
alter table queued_jobs.job add column poisoned_count int not null default 0;
alter table queued_jobs.job add column poisoned_until timestamptz;

-- How often the same body came; null in rows of older code, which keeps each one.
alter table queued_jobs.rejected_message add column copies int;
create unique index rejected_message_once on queued_jobs.rejected_message (queue, body_sha256) where copies is not null;
