-- Keep an unreadable message for the admin: copies are counted, not kept.
insert into queued_jobs.rejected_message as kept (queue, reason, body_sha256, body_start, copies)
values (%(queue)s, %(reason)s, %(body_sha256)s, %(body_start)s, 1)
on conflict (queue, body_sha256) where copies is not null do update set copies = kept.copies + 1
