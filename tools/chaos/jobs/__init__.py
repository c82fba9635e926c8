"""The kinds that are attacked, instead of those in functions/jobs/."""
