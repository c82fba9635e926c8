-- What no audit at the end can see: each change of a job is checked when it is made.
create schema chaos;
create table chaos.effect (job_id uuid not null, nonce text not null);
create table chaos.violation (rule text not null, job_id uuid not null, detail text not null);

create function chaos.check_change() returns trigger language plpgsql as $$
declare
  ended constant text[] := array['succeeded', 'failed', 'cancelled', 'aborted'];
  rule text;
begin
  if new.version < old.version then rule := 'a version fell'; end if;
  if new.version = old.version and (new.status, new.attempt, new.progress, new.result, new.error, new.cancel_requested, new.finished_at)
      is distinct from (old.status, old.attempt, old.progress, old.result, old.error, old.cancel_requested, old.finished_at)
    then rule := 'a change without a new version'; end if;
  if new.dispatch_gen < old.dispatch_gen then rule := 'a generation fell'; end if;
  if new.attempt > new.max_attempts then rule := 'too many attempts'; end if;
  if old.status = any(ended) and (new.status, new.result, new.error, new.attempt, new.finished_at)
      is distinct from (old.status, old.result, old.error, old.attempt, old.finished_at)
    then rule := 'an ended job changed'; end if;
  if old.status = 'running' and new.status = 'running' and new.lease_token <> old.lease_token
    then rule := 'a lease was taken from its holder'; end if;
  if rule is not null then
    insert into chaos.violation values (rule, new.id, format('%s, version %s -> %s, version %s', old.status, old.version, new.status, new.version));
  end if;
  return null;
end $$;
create trigger check_change after update on queued_jobs.job for each row execute function chaos.check_change();

create function chaos.note_deletion() returns trigger language plpgsql as $$
begin
  insert into chaos.violation values ('a job was deleted', old.id, old.status);
  return null;
end $$;
create trigger note_deletion after delete on queued_jobs.job for each row execute function chaos.note_deletion();
