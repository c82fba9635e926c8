"""The product with separate kinds of jobs, for tests and screenshots: those of a fork may change."""
