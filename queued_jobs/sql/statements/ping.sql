-- Check that the server responds.
select 1 as alive
