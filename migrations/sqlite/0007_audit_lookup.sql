-- Looking the audit up: what else was changed in one transaction, and what happened to one row since.

-- undoing a transaction
create index audit_transaction on audit (transaction_id);
-- what happened to a row since a change that is undone
create index audit_of_row on audit (relation, key, id);
