-- Record one action of an operator.
insert into queued_jobs.audit (subject, role, action, filter, outcome, changed)
values (%(subject)s, %(role)s, %(action)s, %(filter)s, %(outcome)s, %(changed)s)
returning id
