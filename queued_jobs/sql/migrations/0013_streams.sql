-- What bodies emit while they run. `stream` has one row for each job that has emitted something.
create table if not exists queued_jobs.stream (
  job_id   job_key primary key references queued_jobs.job (id) on delete cascade,
  -- the generation whose attempt has last appended, and how many chunks that attempt has appended
  gen      bigint not null,
  written  int not null,
  -- of all attempts: number of the last chunk, and the size of all chunks, also of those that are gone
  last_seq bigint not null,
  ends_at  bigint not null
);

create table if not exists queued_jobs.chunk (
  job_id     job_key not null references queued_jobs.stream (job_id) on delete cascade,
  seq        bigint not null,
  topic      text not null check (topic ~ '^[a-z][a-z0-9_-]{0,62}$'),
  text       text not null check (octet_length(text) <= 65536),
  skipped    int not null default 0,  -- lines of the topic that were dropped before this one
  starts_at  bigint not null,         -- size of all chunks before it
  emitted_at timestamptz not null default clock_timestamp(),
  primary key (job_id, seq)
);
