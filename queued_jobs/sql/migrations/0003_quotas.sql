-- What limits how much one user, or one stranger, may ask for. After a crash of the server the counts start anew.
create unlogged table queued_jobs.recent_use (
  key     text primary key check (length(key) between 1 and 200),
  at      timestamptz[] not null,  -- the last uses, oldest first
  last_at timestamptz not null
);
create index recent_use_last on queued_jobs.recent_use (last_at);

-- Notes one more use, unless there were `most` within the window: 0 if noted, else in how many seconds one is free again.
-- Whoever uses the same key at the same moment waits for the row, so no race lets one more through.
create function queued_jobs.use(used_key text, most int, within interval) returns float8 language plpgsql as $$
declare
  noted timestamptz[];
  moment timestamptz;
begin
  insert into queued_jobs.recent_use (key, at, last_at) values (used_key, '{}', clock_timestamp()) on conflict do nothing;
  if found then
    -- each newcomer takes away two that are long gone, so that the table stays as small as a day's users
    delete from queued_jobs.recent_use where key in (
      select key from queued_jobs.recent_use where last_at < clock_timestamp() - interval '1 day'
      order by last_at limit 2 for update skip locked);
  end if;
  loop
    select at into noted from queued_jobs.recent_use where key = used_key for update;
    exit when found;
    insert into queued_jobs.recent_use (key, at, last_at) values (used_key, '{}', clock_timestamp()) on conflict do nothing;
  end loop;
  moment := clock_timestamp();
  noted := array(select used from unnest(noted) used where used > moment - within order by used);
  if cardinality(noted) >= most then
    return greatest(0.001, extract(epoch from noted[cardinality(noted) - most + 1] + within - moment));
  end if;
  update queued_jobs.recent_use set at = noted || moment, last_at = moment where key = used_key;
  return 0;
end $$;

-- How far a user's quotas are used, and how many jobs wait, counted no further than asked. Until the transaction ends nobody
-- else gets an answer for this user. A function, because each of its statements sees what was committed before it began.
create function queued_jobs.quota_use(
  owner text, most_active int, most_a_day int, most_waiting int,
  out active int, out today int, out next_day_at timestamptz, out waiting int) language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('queued_jobs quota ' || owner, 0));
  select count(*) into active from (
    select 1 from queued_jobs.job where user_id = owner and status in ('pending','running','retrying') limit most_active) own;
  select count(*), min(created_at) + interval '1 day' into today, next_day_at from (
    select created_at from queued_jobs.job where user_id = owner and created_at > clock_timestamp() - interval '1 day'
    order by created_at desc limit most_a_day) own;
  select count(*) into waiting from (
    select 1 from queued_jobs.job where status in ('pending','retrying') limit most_waiting) everybodys;
end $$;
