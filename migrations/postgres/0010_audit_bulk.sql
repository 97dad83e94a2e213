-- A hash index keeps equal keys in one chain, which every new row walks to its end: the rows of one transaction cost the
-- square of their number. Equal keys cost a B-tree nothing, and less room.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

drop index if exists audit_transaction;
create index audit_transaction on audit (transaction_id);
comment on index audit_transaction is 'undoing a transaction';
