-- Check that the server answers.
select 1 as alive
