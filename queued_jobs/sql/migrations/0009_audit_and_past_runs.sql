-- Runs that count against a user's quota and that the jobs' rows do not show: those started again by hand, and those of jobs that
-- were deleted within a day. They are kept for a day.
create table if not exists queued_jobs.past_run (
  id      bigint generated always as identity primary key,
  user_id text not null,
  at      timestamptz not null default clock_timestamp()
);
create index past_run_user on queued_jobs.past_run (user_id, at);
create index past_run_at on queued_jobs.past_run (at);

-- As before, and counts past runs too. The code of the version before calls it as well.
create or replace function queued_jobs.quota_use(
  owner text, most_active int, most_a_day int, most_waiting int,
  out active int, out today int, out next_day_at timestamptz, out waiting int) language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('queued_jobs quota ' || owner, 0));
  select count(*) into active from (
    select 1 from queued_jobs.job where user_id = owner and status in ('pending','running','retrying') limit most_active) own;
  select count(*), min(at) + interval '1 day' into today, next_day_at from (
    select at from (
      (select created_at as at from queued_jobs.job where user_id = owner and created_at > clock_timestamp() - interval '1 day'
       order by created_at desc limit most_a_day)
      union all
      (select at from queued_jobs.past_run where user_id = owner and at > clock_timestamp() - interval '1 day'
       order by at desc limit most_a_day)) own_run
    order by at desc limit most_a_day) own;
  select count(*) into waiting from (
    select 1 from queued_jobs.job where status in ('pending','retrying') limit most_waiting) everybodys;
end $$;

-- What operators did, one row for each request: never what jobs contain, and no secrets.
create table if not exists queued_jobs.audit (
  id      bigint generated always as identity primary key,
  at      timestamptz not null default clock_timestamp(),
  subject text not null check (length(subject) between 1 and 200),
  role    text not null check (length(role) between 1 and 40),
  action  text not null check (length(action) between 1 and 40),
  filter  jsonb not null,
  outcome text not null check (length(outcome) between 1 and 200),
  changed int
);
create index audit_at on queued_jobs.audit (at);
