-- Nothing to do: the index of an audit's transactions is a B-tree here.
select 1;
