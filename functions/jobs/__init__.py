"""Each file in this folder is one kind of job: its triggers, queues and routes are registered automatically."""
