-- The requests that the labels of these jobs are made from, as texts, so that they are parsed off the event loop. Null if one is stored in more
-- than `most` bytes.
select id, schema_version, case when pg_column_size(request) <= %(most)s then request::text end as request
from queued_jobs.job where id = any(%(ids)s)
