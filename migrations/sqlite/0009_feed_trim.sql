-- Nothing to do: changes are numbered here, so a follower finds out by itself what was deleted.
select 1;
