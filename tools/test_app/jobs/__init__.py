"""The kinds of the test app, instead of those in functions/jobs/."""
