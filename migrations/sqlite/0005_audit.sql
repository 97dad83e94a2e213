-- The audit: who changed what, and what it was before and after.
--
-- Triggers write it, in the transaction of the change: no change without its rows, no rows without
-- their change, from the stock sqlite3 shell too. SQLite knows neither users nor numbers of
-- transactions: a file is guarded by its folder. Whoever may write the file could take the triggers
-- away as well; they keep people from mistakes.
-- No check here: nobody but the triggers writes, and under `insert or ignore` a check that fails
-- would drop the record and keep the change.

-- Who acts: one row, there only inside a transaction of certgate, so that nobody else ever sees it.
create table acting (
    -- Holds the table to one row.
    one integer not null default 1,
    -- Names this transaction in audit.
    transaction_id text not null default (lower(hex(randomblob(8)))),
    -- Who acts, as claimed.
    actor text,
    -- api, cli or provision.
    source text not null,
    -- The request that asked for it.
    request_id text,
    -- 1: rows of audit may be removed.
    pruning integer not null default 0,
    constraint acting_pkey primary key (one),
    constraint acting_one_row check (one = 1)
) strict;

-- What acting says, cut to 256 characters and without control characters, so that it never breaks
-- the change that it is about; one row always.
create view claimed as
    select acting.transaction_id,
        case
            when acting.actor glob
                '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*' then '?'
            else nullif(substr(acting.actor, 1, 256), '')
        end as actor,
        iif(acting.source in ('api', 'cli', 'provision'), acting.source, 'sql') as source,
        case
            when acting.request_id glob
                '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*' then '?'
            else nullif(substr(acting.request_id, 1, 256), '')
        end as request_id
    from (select 1) left join acting on acting.one = 1;

-- who changed what; only grows, except by `certgate audit prune`, which says so here
create table audit (
    -- the order in which rows were written; never used again
    id integer constraint audit_pkey primary key autoincrement,
    -- when the statement ran
    at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    -- equal for all that was changed in one transaction; null on SQLite for raw SQL
    transaction_id text,
    -- whom the database let in; null on SQLite, which has no users
    db_user text,
    -- who acted, as claimed by the program that was used
    actor text,
    -- api, cli or provision, as claimed; anything else is sql
    source text not null,
    -- the request that asked for it, as claimed
    request_id text,
    -- insert, update, delete; prune: rows of audit were removed
    action text not null,
    -- app_user, user_group, mapping, block, rule; audit where action is prune
    relation text not null,
    -- username; username,group; id; or priority, the one after the change
    key text not null,
    -- the row only followed its user, who was renamed or removed
    followed integer not null default 0,
    -- the row before the change, as a JSON object; null if there was none
    before text,
    -- the row after the change, as a JSON object; null if there is none
    after text
) strict;
-- People ask for the last days; what is too old goes.
create index audit_at on audit (at);

-- The row whose place `insert or replace` or `update or replace` takes: SQLite fires no delete
-- trigger for it. It is put down before and used up after; what was ignored stays until the next.
create table replaced (
    relation text not null,
    key text not null,
    before text not null
) strict;

-- Nobody changes what is written; not by `insert or replace` either.
create trigger audit_append_only_insert before insert on audit
when exists (select 1 from audit where id = new.id)
begin
    select raise(abort, 'audit_append_only: the audit only grows');
end;
create trigger audit_append_only_update before update on audit
begin
    select raise(abort, 'audit_append_only: the audit only grows');
end;
create trigger audit_append_only_delete before delete on audit
when not exists (select 1 from acting where pruning = 1)
begin
    select raise(abort, 'audit_append_only: old rows go by `certgate audit prune` alone');
end;

create trigger app_user_replaced before insert on app_user
when exists (select 1 from app_user where username = new.username)
begin
    delete from replaced;
    insert into replaced (relation, key, before)
    select 'app_user', new.username, json_object(
        'username', username, 'display_name', display_name, 'email', email, 'origin', origin,
        'mapped_only', json(iif(mapped_only, 'true', 'false')),
        'enabled', json(iif(enabled, 'true', 'false')), 'valid_from', valid_from,
        'valid_until', valid_until, 'note', note, 'created_by', created_by,
        'created_at', created_at)
    from app_user where username = new.username;
end;
create trigger app_user_audited_insert after insert on app_user
begin
    insert into audit (transaction_id, actor, source, request_id, action, relation, key, before,
        after)
    select transaction_id, actor, source, request_id, iif(before is null, 'insert', 'update'),
        'app_user', new.username, before, after
    from claimed, (select json_object(
        'username', new.username, 'display_name', new.display_name, 'email', new.email,
        'origin', new.origin, 'mapped_only', json(iif(new.mapped_only, 'true', 'false')),
        'enabled', json(iif(new.enabled, 'true', 'false')), 'valid_from', new.valid_from,
        'valid_until', new.valid_until, 'note', new.note, 'created_by', new.created_by,
        'created_at', new.created_at) as after)
    left join replaced on relation = 'app_user' and key = new.username
    where before is not after;
    delete from replaced;
end;
create trigger app_user_audited_update after update on app_user
begin
    insert into audit (transaction_id, actor, source, request_id, action, relation, key, followed,
        before, after)
    select transaction_id, actor, source, request_id, 'update', 'app_user', new.username, 0,
        before, after
    from claimed,
        (select json_object(
            'username', old.username, 'display_name', old.display_name, 'email', old.email,
            'origin', old.origin, 'mapped_only', json(iif(old.mapped_only, 'true', 'false')),
            'enabled', json(iif(old.enabled, 'true', 'false')), 'valid_from', old.valid_from,
            'valid_until', old.valid_until, 'note', old.note, 'created_by', old.created_by,
            'created_at', old.created_at) as before),
        (select json_object(
            'username', new.username, 'display_name', new.display_name, 'email', new.email,
            'origin', new.origin, 'mapped_only', json(iif(new.mapped_only, 'true', 'false')),
            'enabled', json(iif(new.enabled, 'true', 'false')), 'valid_from', new.valid_from,
            'valid_until', new.valid_until, 'note', new.note, 'created_by', new.created_by,
            'created_at', new.created_at) as after)
    where before <> after;
    delete from replaced;
end;
create trigger app_user_audited_delete after delete on app_user
begin
    insert into audit (transaction_id, actor, source, request_id, action, relation, key, followed,
        before)
    select transaction_id, actor, source, request_id, 'delete', 'app_user', old.username, 0,
        json_object(
            'username', old.username, 'display_name', old.display_name, 'email', old.email,
            'origin', old.origin, 'mapped_only', json(iif(old.mapped_only, 'true', 'false')),
            'enabled', json(iif(old.enabled, 'true', 'false')), 'valid_from', old.valid_from,
            'valid_until', old.valid_until, 'note', old.note, 'created_by', old.created_by,
            'created_at', old.created_at)
    from claimed;
    delete from replaced;
end;

create trigger user_group_replaced before insert on user_group
when exists (select 1 from user_group where username = new.username and group_name = new.group_name)
begin
    delete from replaced;
    insert into replaced (relation, key, before)
    select 'user_group',
        new.username || ',' || new.group_name, json_object(
        'username', username, 'group_name', group_name)
    from user_group where username = new.username and group_name = new.group_name;
end;
create trigger user_group_audited_insert after insert on user_group
begin
    insert into audit (transaction_id, actor, source, request_id, action, relation, key, before,
        after)
    select transaction_id, actor, source, request_id, iif(before is null, 'insert', 'update'),
        'user_group',
        new.username || ',' || new.group_name, before, after
    from claimed, (select json_object(
        'username', new.username, 'group_name', new.group_name) as after)
    left join replaced on relation = 'user_group' and key = new.username || ',' || new.group_name
    where before is not after;
    delete from replaced;
end;
create trigger user_group_replaced_update before update on user_group
when (new.username <> old.username or new.group_name <> old.group_name)
    and exists (
        select 1 from user_group where username = new.username and group_name = new.group_name)
begin
    delete from replaced;
    insert into replaced (relation, key, before)
    select 'user_group', new.username || ',' || new.group_name, json_object(
        'username', username, 'group_name', group_name)
    from user_group where username = new.username and group_name = new.group_name;
end;
create trigger user_group_audited_update after update on user_group
begin
    insert into audit (transaction_id, actor, source, request_id, action, relation, key, before)
    select transaction_id, actor, source, request_id, 'delete', 'user_group', key, before
    from claimed, replaced
    where relation = 'user_group' and key = new.username || ',' || new.group_name;
    insert into audit (transaction_id, actor, source, request_id, action, relation, key, followed,
        before, after)
    select transaction_id, actor, source, request_id, 'update', 'user_group',
        new.username || ',' || new.group_name,
        new.username <> old.username and not exists (
            select 1 from app_user
            where username = old.username and username = old.username collate binary),
        before, after
    from claimed,
        (select json_object(
            'username', old.username, 'group_name', old.group_name) as before),
        (select json_object(
            'username', new.username, 'group_name', new.group_name) as after)
    where before <> after;
    delete from replaced;
end;
create trigger user_group_audited_delete after delete on user_group
begin
    insert into audit (transaction_id, actor, source, request_id, action, relation, key, followed,
        before)
    select transaction_id, actor, source, request_id, 'delete', 'user_group',
        old.username || ',' || old.group_name,
        not exists (
            select 1 from app_user
            where username = old.username and username = old.username collate binary),
        json_object(
            'username', old.username, 'group_name', old.group_name)
    from claimed;
    delete from replaced;
end;

create trigger mapping_replaced before insert on mapping
when exists (select 1 from mapping where id = new.id)
begin
    delete from replaced;
    insert into replaced (relation, key, before)
    select 'mapping', new.id, json_object(
        'id', id, 'username', username, 'sha256', sha256, 'spki_sha256', spki_sha256,
        'issuer', issuer, 'issuer_key_id', issuer_key_id, 'serial', serial, 'subject', subject,
        'san_email', san_email, 'san_upn', san_upn, 'san_uri', san_uri, 'san_dns', san_dns,
        'common_name', common_name, 'enabled', json(iif(enabled, 'true', 'false')),
        'valid_from', valid_from, 'valid_until', valid_until, 'revoked_at', revoked_at,
        'revoked_reason', revoked_reason, 'note', note, 'created_by', created_by,
        'created_at', created_at)
    from mapping where id = new.id;
end;
create trigger mapping_audited_insert after insert on mapping
begin
    insert into audit (transaction_id, actor, source, request_id, action, relation, key, before,
        after)
    select transaction_id, actor, source, request_id, iif(before is null, 'insert', 'update'),
        'mapping', new.id, before, after
    from claimed, (select json_object(
        'id', new.id, 'username', new.username, 'sha256', new.sha256,
        'spki_sha256', new.spki_sha256, 'issuer', new.issuer,
        'issuer_key_id', new.issuer_key_id, 'serial', new.serial, 'subject', new.subject,
        'san_email', new.san_email, 'san_upn', new.san_upn, 'san_uri', new.san_uri,
        'san_dns', new.san_dns, 'common_name', new.common_name,
        'enabled', json(iif(new.enabled, 'true', 'false')), 'valid_from', new.valid_from,
        'valid_until', new.valid_until, 'revoked_at', new.revoked_at,
        'revoked_reason', new.revoked_reason, 'note', new.note, 'created_by', new.created_by,
        'created_at', new.created_at) as after)
    left join replaced on relation = 'mapping' and key = new.id
    where before is not after;
    delete from replaced;
end;
create trigger mapping_audited_update after update on mapping
begin
    insert into audit (transaction_id, actor, source, request_id, action, relation, key, followed,
        before, after)
    select transaction_id, actor, source, request_id, 'update', 'mapping', new.id,
        new.username <> old.username and not exists (
            select 1 from app_user
            where username = old.username and username = old.username collate binary),
        before, after
    from claimed,
        (select json_object(
            'id', old.id, 'username', old.username, 'sha256', old.sha256,
            'spki_sha256', old.spki_sha256, 'issuer', old.issuer,
            'issuer_key_id', old.issuer_key_id, 'serial', old.serial, 'subject', old.subject,
            'san_email', old.san_email, 'san_upn', old.san_upn, 'san_uri', old.san_uri,
            'san_dns', old.san_dns, 'common_name', old.common_name,
            'enabled', json(iif(old.enabled, 'true', 'false')), 'valid_from', old.valid_from,
            'valid_until', old.valid_until, 'revoked_at', old.revoked_at,
            'revoked_reason', old.revoked_reason, 'note', old.note,
            'created_by', old.created_by, 'created_at', old.created_at) as before),
        (select json_object(
            'id', new.id, 'username', new.username, 'sha256', new.sha256,
            'spki_sha256', new.spki_sha256, 'issuer', new.issuer,
            'issuer_key_id', new.issuer_key_id, 'serial', new.serial, 'subject', new.subject,
            'san_email', new.san_email, 'san_upn', new.san_upn, 'san_uri', new.san_uri,
            'san_dns', new.san_dns, 'common_name', new.common_name,
            'enabled', json(iif(new.enabled, 'true', 'false')), 'valid_from', new.valid_from,
            'valid_until', new.valid_until, 'revoked_at', new.revoked_at,
            'revoked_reason', new.revoked_reason, 'note', new.note,
            'created_by', new.created_by, 'created_at', new.created_at) as after)
    where before <> after;
    delete from replaced;
end;
create trigger mapping_audited_delete after delete on mapping
begin
    insert into audit (transaction_id, actor, source, request_id, action, relation, key, followed,
        before)
    select transaction_id, actor, source, request_id, 'delete', 'mapping', old.id,
        not exists (
            select 1 from app_user
            where username = old.username and username = old.username collate binary),
        json_object(
            'id', old.id, 'username', old.username, 'sha256', old.sha256,
            'spki_sha256', old.spki_sha256, 'issuer', old.issuer,
            'issuer_key_id', old.issuer_key_id, 'serial', old.serial, 'subject', old.subject,
            'san_email', old.san_email, 'san_upn', old.san_upn, 'san_uri', old.san_uri,
            'san_dns', old.san_dns, 'common_name', old.common_name,
            'enabled', json(iif(old.enabled, 'true', 'false')), 'valid_from', old.valid_from,
            'valid_until', old.valid_until, 'revoked_at', old.revoked_at,
            'revoked_reason', old.revoked_reason, 'note', old.note,
            'created_by', old.created_by, 'created_at', old.created_at)
    from claimed;
    delete from replaced;
end;

create trigger block_replaced before insert on block
when exists (select 1 from block where id = new.id)
begin
    delete from replaced;
    insert into replaced (relation, key, before)
    select 'block', new.id, json_object(
        'id', id, 'sha256', sha256, 'spki_sha256', spki_sha256, 'issuer', issuer,
        'issuer_key_id', issuer_key_id, 'serial', serial, 'subject', subject,
        'san_email', san_email, 'san_upn', san_upn, 'san_uri', san_uri, 'san_dns', san_dns,
        'common_name', common_name, 'enabled', json(iif(enabled, 'true', 'false')),
        'valid_from', valid_from, 'valid_until', valid_until, 'reason', reason, 'note', note,
        'created_by', created_by, 'created_at', created_at)
    from block where id = new.id;
end;
create trigger block_audited_insert after insert on block
begin
    insert into audit (transaction_id, actor, source, request_id, action, relation, key, before,
        after)
    select transaction_id, actor, source, request_id, iif(before is null, 'insert', 'update'),
        'block', new.id, before, after
    from claimed, (select json_object(
        'id', new.id, 'sha256', new.sha256, 'spki_sha256', new.spki_sha256,
        'issuer', new.issuer, 'issuer_key_id', new.issuer_key_id, 'serial', new.serial,
        'subject', new.subject, 'san_email', new.san_email, 'san_upn', new.san_upn,
        'san_uri', new.san_uri, 'san_dns', new.san_dns, 'common_name', new.common_name,
        'enabled', json(iif(new.enabled, 'true', 'false')), 'valid_from', new.valid_from,
        'valid_until', new.valid_until, 'reason', new.reason, 'note', new.note,
        'created_by', new.created_by, 'created_at', new.created_at) as after)
    left join replaced on relation = 'block' and key = new.id
    where before is not after;
    delete from replaced;
end;
create trigger block_audited_update after update on block
begin
    insert into audit (transaction_id, actor, source, request_id, action, relation, key, followed,
        before, after)
    select transaction_id, actor, source, request_id, 'update', 'block', new.id, 0,
        before, after
    from claimed,
        (select json_object(
            'id', old.id, 'sha256', old.sha256, 'spki_sha256', old.spki_sha256,
            'issuer', old.issuer, 'issuer_key_id', old.issuer_key_id, 'serial', old.serial,
            'subject', old.subject, 'san_email', old.san_email, 'san_upn', old.san_upn,
            'san_uri', old.san_uri, 'san_dns', old.san_dns, 'common_name', old.common_name,
            'enabled', json(iif(old.enabled, 'true', 'false')), 'valid_from', old.valid_from,
            'valid_until', old.valid_until, 'reason', old.reason, 'note', old.note,
            'created_by', old.created_by, 'created_at', old.created_at) as before),
        (select json_object(
            'id', new.id, 'sha256', new.sha256, 'spki_sha256', new.spki_sha256,
            'issuer', new.issuer, 'issuer_key_id', new.issuer_key_id, 'serial', new.serial,
            'subject', new.subject, 'san_email', new.san_email, 'san_upn', new.san_upn,
            'san_uri', new.san_uri, 'san_dns', new.san_dns, 'common_name', new.common_name,
            'enabled', json(iif(new.enabled, 'true', 'false')), 'valid_from', new.valid_from,
            'valid_until', new.valid_until, 'reason', new.reason, 'note', new.note,
            'created_by', new.created_by, 'created_at', new.created_at) as after)
    where before <> after;
    delete from replaced;
end;
create trigger block_audited_delete after delete on block
begin
    insert into audit (transaction_id, actor, source, request_id, action, relation, key, followed,
        before)
    select transaction_id, actor, source, request_id, 'delete', 'block', old.id, 0,
        json_object(
            'id', old.id, 'sha256', old.sha256, 'spki_sha256', old.spki_sha256,
            'issuer', old.issuer, 'issuer_key_id', old.issuer_key_id, 'serial', old.serial,
            'subject', old.subject, 'san_email', old.san_email, 'san_upn', old.san_upn,
            'san_uri', old.san_uri, 'san_dns', old.san_dns, 'common_name', old.common_name,
            'enabled', json(iif(old.enabled, 'true', 'false')), 'valid_from', old.valid_from,
            'valid_until', old.valid_until, 'reason', old.reason, 'note', old.note,
            'created_by', old.created_by, 'created_at', old.created_at)
    from claimed;
    delete from replaced;
end;

create trigger rule_replaced before insert on rule
when exists (select 1 from rule where priority = new.priority)
begin
    delete from replaced;
    insert into replaced (relation, key, before)
    select 'rule', new.priority, json_object(
        'priority', priority, 'name', name, 'issuer', issuer, 'issuer_key_id', issuer_key_id,
        'conditions', json(conditions), 'username', username, 'display_name', display_name,
        'email', email, 'group_names', group_names, 'users', users,
        'enabled', json(iif(enabled, 'true', 'false')), 'valid_from', valid_from,
        'valid_until', valid_until, 'note', note, 'created_by', created_by,
        'created_at', created_at)
    from rule where priority = new.priority;
end;
create trigger rule_audited_insert after insert on rule
begin
    insert into audit (transaction_id, actor, source, request_id, action, relation, key, before,
        after)
    select transaction_id, actor, source, request_id, iif(before is null, 'insert', 'update'),
        'rule', new.priority, before, after
    from claimed, (select json_object(
        'priority', new.priority, 'name', new.name, 'issuer', new.issuer,
        'issuer_key_id', new.issuer_key_id, 'conditions', json(new.conditions),
        'username', new.username, 'display_name', new.display_name, 'email', new.email,
        'group_names', new.group_names, 'users', new.users,
        'enabled', json(iif(new.enabled, 'true', 'false')), 'valid_from', new.valid_from,
        'valid_until', new.valid_until, 'note', new.note, 'created_by', new.created_by,
        'created_at', new.created_at) as after)
    left join replaced on relation = 'rule' and key = new.priority
    where before is not after;
    delete from replaced;
end;
create trigger rule_replaced_update before update on rule
when new.priority <> old.priority
    and exists (select 1 from rule where priority = new.priority)
begin
    delete from replaced;
    insert into replaced (relation, key, before)
    select 'rule', new.priority, json_object(
        'priority', priority, 'name', name, 'issuer', issuer, 'issuer_key_id', issuer_key_id,
        'conditions', json(conditions), 'username', username, 'display_name', display_name,
        'email', email, 'group_names', group_names, 'users', users,
        'enabled', json(iif(enabled, 'true', 'false')), 'valid_from', valid_from,
        'valid_until', valid_until, 'note', note, 'created_by', created_by,
        'created_at', created_at)
    from rule where priority = new.priority;
end;
create trigger rule_audited_update after update on rule
begin
    insert into audit (transaction_id, actor, source, request_id, action, relation, key, before)
    select transaction_id, actor, source, request_id, 'delete', 'rule', key, before
    from claimed, replaced where relation = 'rule' and key = new.priority;
    insert into audit (transaction_id, actor, source, request_id, action, relation, key, followed,
        before, after)
    select transaction_id, actor, source, request_id, 'update', 'rule', new.priority, 0,
        before, after
    from claimed,
        (select json_object(
            'priority', old.priority, 'name', old.name, 'issuer', old.issuer,
            'issuer_key_id', old.issuer_key_id, 'conditions', json(old.conditions),
            'username', old.username, 'display_name', old.display_name, 'email', old.email,
            'group_names', old.group_names, 'users', old.users,
            'enabled', json(iif(old.enabled, 'true', 'false')), 'valid_from', old.valid_from,
            'valid_until', old.valid_until, 'note', old.note, 'created_by', old.created_by,
            'created_at', old.created_at) as before),
        (select json_object(
            'priority', new.priority, 'name', new.name, 'issuer', new.issuer,
            'issuer_key_id', new.issuer_key_id, 'conditions', json(new.conditions),
            'username', new.username, 'display_name', new.display_name, 'email', new.email,
            'group_names', new.group_names, 'users', new.users,
            'enabled', json(iif(new.enabled, 'true', 'false')), 'valid_from', new.valid_from,
            'valid_until', new.valid_until, 'note', new.note, 'created_by', new.created_by,
            'created_at', new.created_at) as after)
    where before <> after;
    delete from replaced;
end;
create trigger rule_audited_delete after delete on rule
begin
    insert into audit (transaction_id, actor, source, request_id, action, relation, key, followed,
        before)
    select transaction_id, actor, source, request_id, 'delete', 'rule', old.priority, 0,
        json_object(
            'priority', old.priority, 'name', old.name, 'issuer', old.issuer,
            'issuer_key_id', old.issuer_key_id, 'conditions', json(old.conditions),
            'username', old.username, 'display_name', old.display_name, 'email', old.email,
            'group_names', old.group_names, 'users', old.users,
            'enabled', json(iif(old.enabled, 'true', 'false')), 'valid_from', old.valid_from,
            'valid_until', old.valid_until, 'note', old.note, 'created_by', old.created_by,
            'created_at', old.created_at)
    from claimed;
    delete from replaced;
end;
