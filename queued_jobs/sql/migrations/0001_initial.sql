-- The job, its attempts, and what the queue delivered that nobody can read.
create table queued_jobs.job (
  id               job_key primary key,
  kind             text not null check (kind ~ '^[a-z][a-z0-9-]{0,62}$'),
  schema_version   int not null default 1,
  queue            text not null check (queue ~ '^[a-z0-9](-?[a-z0-9])+$' and length(queue) between 3 and 56),
  user_id          text not null check (length(user_id) between 1 and 128),
  idempotency_key  text check (length(idempotency_key) between 1 and 200),
  unique_key       text check (length(unique_key) between 1 and 200),
  concurrency_key  text check (length(concurrency_key) between 1 and 200),
  concurrency_slot int,  -- of the current or the last attempt
  parked_at        timestamptz,  -- since when it waits in line, and no message of it is on its way
  batch_id         uuid,
  after_batch      uuid,
  parent_id        job_key,
  traceparent      text,
  request          jsonb not null,
  status           text not null default 'pending'
    check (status in ('pending','running','retrying','succeeded','failed','cancelled','aborted')),
  attempt          int not null default 0,
  max_attempts     int not null default 5 check (max_attempts between 1 and 50),
  lost_count       int not null default 0,
  dispatch_gen     bigint not null default 1,
  sent_gen         bigint not null default 0,
  next_send_at     timestamptz not null default clock_timestamp(),
  resend_count     int not null default 0,
  available_at     timestamptz not null default clock_timestamp(),
  lease_token      uuid,
  lease_until      timestamptz,
  deadline_at      timestamptz,
  worker_id        text,
  cancel_requested boolean not null default false,
  progress         double precision check (progress between 0 and 1),
  progress_message text,
  result           jsonb,
  error            jsonb,
  version          bigint not null default 1,
  created_at       timestamptz not null default clock_timestamp(),
  started_at       timestamptz,
  finished_at      timestamptz,
  expired_at       timestamptz,  -- since when its result is gone
  seen_at          timestamptz,
  cleared_at       timestamptz,
  constraint job_running_has_lease check ((status = 'running') = (lease_token is not null)),
  constraint job_lease_is_whole    check ((lease_token is null) = (lease_until is null)
                                      and (lease_token is null) = (deadline_at is null)),
  constraint job_final_has_end     check ((status in ('succeeded','failed','cancelled','aborted')) = (finished_at is not null)),
  constraint job_result_if_success check (result is null or status = 'succeeded'),
  constraint job_expired_if_success check (expired_at is null or (status = 'succeeded' and result is null)),
  constraint job_sent_not_ahead    check (sent_gen <= dispatch_gen),
  constraint job_cleared_if_final  check (cleared_at is null or finished_at is not null)
) with (fillfactor = 80);

create unique index job_idempotency on queued_jobs.job (user_id, kind, idempotency_key) where idempotency_key is not null;
create unique index job_unique on queued_jobs.job (kind, unique_key) where unique_key is not null and status in ('pending','running','retrying');
create unique index job_slot on queued_jobs.job (kind, concurrency_key, concurrency_slot) where concurrency_key is not null and status = 'running';
create index job_line     on queued_jobs.job (kind, concurrency_key, created_at, id) where concurrency_key is not null and status in ('pending','retrying');
create index job_batch    on queued_jobs.job (batch_id, created_at, id) where batch_id is not null;
create index job_batch_open on queued_jobs.job (batch_id) where batch_id is not null and finished_at is null;
create index job_held     on queued_jobs.job (after_batch) where after_batch is not null and status = 'pending';
create index job_unsent   on queued_jobs.job (next_send_at) where sent_gen < dispatch_gen and status in ('pending','retrying');
create index job_silent   on queued_jobs.job (next_send_at) where sent_gen >= dispatch_gen and status in ('pending','retrying');
create index job_running  on queued_jobs.job (id) where status = 'running';
create index job_bell     on queued_jobs.job (user_id, created_at desc, id desc) where cleared_at is null;
create index job_recent   on queued_jobs.job (created_at desc, id desc);
create index job_result   on queued_jobs.job (kind, finished_at) where result is not null;
create index job_ended    on queued_jobs.job (kind, finished_at) where finished_at is not null and result is null;

-- One row a claim. A generation can be claimed once, so (job_id, gen) is also a second guard against a double claim.
create table queued_jobs.attempt (
  job_id      job_key not null references queued_jobs.job (id) on delete cascade,
  gen         bigint not null,
  attempt     int not null,
  worker_id   text not null,
  lease_token uuid not null,
  due_at      timestamptz not null,
  started_at  timestamptz not null,
  ended_at    timestamptz,
  outcome     text check (outcome in ('succeeded','failed','cancelled','lost','timeout','released')),
  error       jsonb,
  primary key (job_id, gen),
  check ((ended_at is null) = (outcome is null))
);

create table queued_jobs.rejected_message (
  id          bigint generated always as identity primary key,
  queue       text not null,
  reason      text not null,
  body_sha256 bytea not null,
  body_start  text not null check (length(body_start) <= 1024),
  received_at timestamptz not null default clock_timestamp()
);
create index rejected_message_received on queued_jobs.rejected_message (received_at);
