"""One file in this folder is one kind of job: its triggers, queues and routes follow from its being here."""
