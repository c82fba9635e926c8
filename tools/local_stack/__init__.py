"""The whole system on one machine: the programs behind scripts/dev and the servers that the tests use."""
