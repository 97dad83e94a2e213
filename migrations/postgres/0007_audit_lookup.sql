-- Looking the audit up: what else was changed in one transaction, and what happened to one row since.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

create index audit_transaction on audit using hash (transaction_id);
comment on index audit_transaction is 'undoing a transaction';
create index audit_of_row on audit (relation, key, id);
comment on index audit_of_row is 'what happened to a row since a change that is undone';
