-- Nothing to do: changes are numbered here, so a follower finds out by itself that one was taken out.
select 1;
