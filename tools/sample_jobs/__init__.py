"""Many realistic jobs for a database: demonstrations, performance tests, and `scripts/dev --seed`."""
