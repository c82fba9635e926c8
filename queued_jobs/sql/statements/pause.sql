-- Pause a kind. If it is paused already, it stays as it is.
insert into queued_jobs.pause as present (kind, subject)
values (%(kind)s, %(subject)s)
on conflict (kind) do update set subject = present.subject
returning kind, since, subject
