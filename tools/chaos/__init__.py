"""`scripts/chaos`: the real parts of the system, attacked from outside while jobs run, and an audit of every job."""
