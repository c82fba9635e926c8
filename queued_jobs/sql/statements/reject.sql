-- Keep what the queue delivered and nobody can read, for the admin.
insert into queued_jobs.rejected_message (queue, reason, body_sha256, body_start)
values (%(queue)s, %(reason)s, %(body_sha256)s, %(body_start)s)
