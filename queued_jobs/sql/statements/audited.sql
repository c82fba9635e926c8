-- The actions of operators, newest first.
select id, at, subject, role, action, filter, outcome, changed
from queued_jobs.audit where id < %(before)s::bigint order by id desc limit %(limit)s
