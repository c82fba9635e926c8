-- What admins look for and count: indexes for the search, and sums that the sweeper fills.

-- The search walks one of these, newest first, whichever its filters make the shortest; what stands behind the id is compared
-- without a look at the row. None holds lease_until, progress or version, so a heartbeat touches no index.
create index job_by_user on queued_jobs.job (user_id, created_at desc, id desc, kind, status);
create index job_by_kind on queued_jobs.job (kind, created_at desc, id desc, status);
create index job_by_error on queued_jobs.job ((error->>'type'), created_at desc, id desc, kind, status, user_id)
  where error is not null;
create index job_active on queued_jobs.job (created_at desc, id desc, status) where status in ('pending','running','retrying');
create index job_ended_badly on queued_jobs.job (created_at desc, id desc, kind, status)
  where status in ('failed','cancelled','aborted');
create index job_retried on queued_jobs.job (created_at desc, id desc, attempt, kind, status, user_id) where attempt > 1;
-- Those that ended while they waited are counted row by row.
create index job_aborted on queued_jobs.job (finished_at) where status = 'aborted';

-- An attempt is counted once, in the transaction that also marks it, however late it ends or its end is committed.
alter table queued_jobs.attempt add column tallied boolean not null default false;
-- By the start, which never changes: the end of an attempt touches no index but the summary below.
create index attempt_untallied on queued_jobs.attempt (started_at) where not tallied;
create index attempt_ended on queued_jobs.attempt using brin (ended_at) with (pages_per_range = 32, autosummarize = on);

-- Replaces what differs between two cases of one failure: quoted parts, ids and numbers. Reads the first line only.
create function queued_jobs.normalised(message text) returns text language sql immutable strict parallel safe
return regexp_replace(regexp_replace(regexp_replace(regexp_replace(
         left(split_part(message, E'\n', 1), 500),
         $$(?<!\w)'[^']*'(?!\w)|(?<!\w)"[^"]*"(?!\w)|`[^`]*`$$, '<text>', 'g'),
         '\m[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\M|\m0x[0-9a-f]+\M', '<id>', 'gi'),
         '\m(?=[[:alpha:]]*\d)(?=\d*[[:alpha:]])([[:alnum:]]{16,}|[0-9a-f]{8,})\M', '<id>', 'gi'),
         '\d+([.,:/-]\d+)*', '<n>', 'g');

create function queued_jobs.fingerprint(type text, message text) returns text language sql immutable strict parallel safe
return left(encode(sha256(convert_to(type || E'\n' || queued_jobs.normalised(message), 'UTF8')), 'hex'), 16);

-- The step of a histogram that a duration belongs to: 0 is below 5 ms, each further one is 1.28 times as long, 63 the rest.
create function queued_jobs.latency_step(seconds float8) returns int language sql immutable strict parallel safe
return width_bucket(ln(greatest(seconds, 0.001)), ln(0.005::float8), ln(0.005::float8) + 62 * ln(1.28::float8), 62);

-- What each ended attempt adds to the statistics.
create view queued_jobs.ended_attempt as
select a.job_id, a.gen, j.kind, a.started_at, a.ended_at, a.tallied,
       case when a.outcome = 'succeeded' then 'succeeded'
            when a.outcome in ('cancelled','released') then null
            when next.gen is not null then 'retried'
            when j.dispatch_gen > a.gen + 1 then 'failed'  -- and somebody has queued the job again since
            when j.error->>'type' in ('poison','no-handler') then 'retried'  -- the job ended while it waited, see job_aborted
            when j.status in ('failed','aborted') then 'failed'
            when j.status = 'cancelled' then null
            else 'retried' end as verdict,
       -- a queue's clock may let a message come up to a second early
       greatest(0, extract(epoch from a.started_at - a.due_at))::float8 as wait,
       -- a lost or released worker's end says nothing of the body, and a clock that was set back nothing at all
       case when a.outcome not in ('lost','released') and a.ended_at >= a.started_at
            then extract(epoch from a.ended_at - a.started_at)::float8 end as run,
       coalesce(a.error->>'type', case a.outcome when 'lost' then 'worker-lost' else a.outcome end) as error_type,
       coalesce(a.error->>'message', case when j.dispatch_gen = a.gen + 1 then j.error->>'message' end, '') as error_message
from queued_jobs.attempt a
join queued_jobs.job j on j.id = a.job_id
left join queued_jobs.attempt next on next.job_id = a.job_id and next.gen = a.gen + 1
where a.ended_at is not null;

-- Minutes are kept for two days; hours become days after a week.
create table queued_jobs.tally (
  grain     text not null check (grain in ('minute','hour','day')),
  at        timestamptz not null,
  kind      text not null,
  created   int not null default 0,
  succeeded int not null default 0,
  failed    int not null default 0,
  retried   int not null default 0,
  primary key (grain, at, kind)
);

create table queued_jobs.latency (
  grain text not null check (grain in ('hour','day')),
  at    timestamptz not null,
  kind  text not null,
  step  int not null check (step between 0 and 63),
  waits int not null default 0,
  runs  int not null default 0,
  primary key (grain, at, kind, step)
);

create table queued_jobs.failure (
  grain       text not null check (grain in ('hour','day')),
  at          timestamptz not null,
  kind        text not null,
  fingerprint text not null,
  type        text not null,
  message     text not null,
  failures    int not null,
  first_at    timestamptz not null,
  last_at     timestamptz not null,
  example     job_key not null,
  primary key (grain, at, kind, fingerprint)
);

-- One row: whoever locks it adds to the sums. Jobs created before created_until are in them.
create table queued_jobs.tally_turn (
  single        boolean primary key default true check (single),
  created_until timestamptz not null default 'epoch'
);
insert into queued_jobs.tally_turn default values;
