-- Is anybody there?
select 1 as alive
