"""The product with kinds of jobs of its own, for tests and pictures: those of a fork may change."""
