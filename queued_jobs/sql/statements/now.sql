-- The database's clock is the only one that counts.
select clock_timestamp() as now
