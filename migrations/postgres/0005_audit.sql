-- The audit: who changed what, and what it was before and after.
--
-- The database writes it itself, in the transaction of the change: no change without its rows, no
-- rows without their change, whoever writes and by which program. It costs one row of `audit` for
-- each row that changes, written once a statement from its transition tables.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- No check: nobody but the triggers below writes here, and a check could only refuse a change for
-- the sake of its record.
create table audit (
    id bigint generated always as identity,
    at timestamptz not null default clock_timestamp(),
    transaction_id text collate "C",
    db_user text collate "C",
    actor text collate "C",
    source text collate "C" not null,
    request_id text collate "C",
    action text collate "C" not null,
    relation text collate "C" not null,
    key text collate "C" not null,
    followed boolean not null default false,
    before json,
    after json,
    constraint audit_pkey primary key (id)
);
comment on table audit is
    'who changed what; only grows, except by certgate_audit_prune(), which says so here';
comment on column audit.id is 'the order in which rows were written; never used again';
comment on column audit.at is 'when the statement ran';
comment on column audit.transaction_id is
    'equal for all that was changed in one transaction; null on SQLite for raw SQL';
comment on column audit.db_user is
    'whom the database let in (session_user); cannot be forged; null on SQLite, which has no users';
comment on column audit.actor is
    'who acted, as claimed by the program that was used: certgate.actor of the transaction';
comment on column audit.source is
    'api, cli or provision, as claimed: certgate.source of the transaction; anything else is sql';
comment on column audit.request_id is 'the request that asked for it, as claimed';
comment on column audit.action is
    'insert, update, delete, truncate; prune: rows of audit were removed';
comment on column audit.relation is
    'app_user, user_group, mapping, block, rule; audit where action is prune';
comment on column audit.key is
    'username; username,group; id; or priority, the one after the change; empty: the whole table';
comment on column audit.followed is
    'the row only followed its user, who was renamed or removed';
comment on column audit.before is 'the row before the change; null if there was none';
comment on column audit.after is 'the row after the change; null if there is none';
create index audit_at on audit (at);
comment on index audit_at is 'people ask for the last days; what is too old goes';

-- A claim never breaks the change that it is about: cut to 256 characters, without control
-- characters. These two are called by the functions below alone, which fix the search path.
create function certgate_claim(setting text) returns text
language sql stable as $$
    select nullif(left(pg_catalog.regexp_replace(
        pg_catalog.current_setting(setting, true) collate "C",
        '[\u0001-\u001f\u007f-\u009f]'::text, '?'::text, 'g'::text), 256), ''::text)
$$;

create function certgate_acting(
    out transaction_id text, out db_user text, out actor text, out source text,
    out request_id text
) language plpgsql stable as $$
begin
    -- Another cluster that this one's dump is restored in begins to count anew.
    transaction_id := pg_current_xact_id()::text || '.'::text
        || trunc(extract(epoch from now()))::text;
    db_user := session_user::text;
    source := current_setting('certgate.source'::text, true);
    if source is null or source not in ('api', 'cli', 'provision') then
        source := 'sql';
    end if;
    actor := certgate_claim('certgate.actor'::text);
    request_id := certgate_claim('certgate.request_id'::text);
end
$$;
comment on function certgate_claim(text) is 'a setting of the transaction, cut to size';
comment on function certgate_acting() is 'who acts: the session, and what it claims';

-- One function for each table, all of the same text, and its triggers. `o` is a row as it was before
-- the change, `n` as it is after it: PostgreSQL puts both down at once, so that the first row of
-- one is the first of the other, whatever became of its key. They are joined by a full join, which
-- cannot become a nested loop (`<>` in the condition would make an inner join of it): a session
-- plans this once, perhaps for a single row.
-- Functions that take a whole row are named with their schema: a role that may create in this one
-- could otherwise offer a better match.
-- Always: a session that replays (session_replication_role) is written down as well.
do $$
declare
    audited record;
begin
    for audited in
        select relation, replace(key, '%', 'o.') as old_key, replace(key, '%', 'n.') as new_key,
            case when has_owner then 'o.username' else 'null::text' end as old_owner,
            case when has_owner then 'n.username' else 'null::text' end as new_owner,
            case when has_owner then
                'coalesce((select false from app_user u where u.username = o.username), true)'
            else 'false' end as is_orphan
        from (values
            ('app_user', '%username', false),
            ('user_group', '%username || '',''::text || %group_name', true),
            ('mapping', '%id::text', true),
            ('block', '%id::text', false),
            ('rule', '%priority::text', false)
        ) as known (relation, key, has_owner)
    loop
        execute format($template$
create function certgate_%1$s_audited() returns trigger
language plpgsql security definer set search_path from current set timezone = 'UTC' as $body$
begin
    if tg_op = 'INSERT' then
        insert into audit (transaction_id, db_user, actor, source, request_id, action, relation,
            key, after)
        select a.transaction_id, a.db_user, a.actor, a.source, a.request_id, 'insert', %1$L,
            %3$s, pg_catalog.row_to_json(n)
        from new_row n cross join certgate_acting() a;
    elsif tg_op = 'UPDATE' then
        insert into audit (transaction_id, db_user, actor, source, request_id, action, relation,
            key, followed, before, after)
        select a.transaction_id, a.db_user, a.actor, a.source, a.request_id, 'update', %1$L,
            n.key, o.username is distinct from n.username and %4$s, o.before, n.after
        from (
            select row_number() over () as place, %5$s as username,
                pg_catalog.row_to_json(o) as before
            from old_row o
        ) o full join (
            select row_number() over () as place, %6$s as username, %3$s as key,
                pg_catalog.row_to_json(n) as after
            from new_row n
        ) n on n.place = o.place cross join certgate_acting() a
        where o.before::text is distinct from n.after::text;
    elsif tg_op = 'DELETE' then
        insert into audit (transaction_id, db_user, actor, source, request_id, action, relation,
            key, followed, before)
        select a.transaction_id, a.db_user, a.actor, a.source, a.request_id, 'delete', %1$L,
            %2$s, %4$s, pg_catalog.row_to_json(o)
        from old_row o cross join certgate_acting() a;
    else
        insert into audit (transaction_id, db_user, actor, source, request_id, action, relation,
            key)
        select a.transaction_id, a.db_user, a.actor, a.source, a.request_id, 'truncate', %1$L,
            ''::text
        from certgate_acting() a;
    end if;
    return null;
end
$body$
$template$,
            audited.relation, audited.old_key, audited.new_key, audited.is_orphan,
            audited.old_owner, audited.new_owner);
        execute format('comment on function certgate_%1$s_audited() is %2$L',
            audited.relation, 'trigger: writes audit for ' || audited.relation);
        execute format('revoke all on function certgate_%1$s_audited() from public',
            audited.relation);
        execute format('create trigger %1$s_audited_insert after insert on %1$I
            referencing new table as new_row
            for each statement execute function certgate_%1$s_audited()', audited.relation);
        execute format('create trigger %1$s_audited_update after update on %1$I
            referencing old table as old_row new table as new_row
            for each statement execute function certgate_%1$s_audited()', audited.relation);
        execute format('create trigger %1$s_audited_delete after delete on %1$I
            referencing old table as old_row
            for each statement execute function certgate_%1$s_audited()', audited.relation);
        execute format('create trigger %1$s_audited_truncate after truncate on %1$I
            for each statement execute function certgate_%1$s_audited()', audited.relation);
        execute format('alter table %1$I enable always trigger %1$s_audited_insert,
            enable always trigger %1$s_audited_update,
            enable always trigger %1$s_audited_delete,
            enable always trigger %1$s_audited_truncate', audited.relation);
    end loop;
end
$$;

-- Nobody changes what is written, and it goes by the function below alone. The owner, who could
-- take this trigger away, is kept from mistakes; other roles have no right here at all.
create function certgate_audit_kept() returns trigger
language plpgsql set search_path from current as $$
declare
    callers text;
begin
    get diagnostics callers = pg_context;
    if tg_op = 'DELETE'
        and strpos(callers, 'certgate_audit_prune(timestamp with time zone)'::text) > 0
    then
        return null;
    end if;
    raise exception 'the audit only grows: % is refused', lower(tg_op)
        using errcode = 'insufficient_privilege', schema = tg_table_schema,
            table = tg_table_name, constraint = 'audit_append_only',
            hint = 'Old rows go by: select certgate_audit_prune(now() - interval ''400 days'')';
end
$$;
comment on function certgate_audit_kept() is 'trigger: refuses to change or remove rows of audit';
create trigger audit_append_only before update or delete or truncate on audit
    for each statement execute function certgate_audit_kept();
alter table audit enable always trigger audit_append_only;

-- Removes what is older, and writes that down; how many rows went. What earlier calls wrote down
-- stays. It has the rights of its caller: only the owner of the table may.
create function certgate_audit_prune(before timestamptz) returns bigint
language plpgsql strict set search_path from current set timezone = 'UTC' as $$
declare
    removed bigint;
begin
    if before > clock_timestamp() then
        raise exception 'the audit is pruned up to a time that has passed'
            using errcode = 'invalid_parameter_value';
    end if;
    delete from audit where audit.at < certgate_audit_prune.before and audit.action <> 'prune';
    get diagnostics removed = row_count;
    insert into audit (transaction_id, db_user, actor, source, request_id, action, relation, key,
        after)
    select a.transaction_id, a.db_user, a.actor, a.source, a.request_id, 'prune', 'audit',
        ''::text, pg_catalog.json_build_object('removed', removed, 'before', before)
    from certgate_acting() a;
    return removed;
end
$$;
comment on function certgate_audit_prune(timestamptz) is
    'for the owner: removes older rows of audit, and writes that down; how many';

-- As before, and the audit says that a rule did it.
create or replace function certgate_provision(
    rule_priority integer, new_username text, new_display_name text, new_email text
) returns boolean
language plpgsql security definer set search_path from current as $$
declare
    group_names text;
    is_added boolean;
    caller_source constant text := current_setting('certgate.source'::text, true);
    caller_actor constant text := current_setting('certgate.actor'::text, true);
begin
    select rule.group_names into group_names from rule
    where rule.priority = rule_priority and rule.users = 'provision' and rule.enabled
        and (rule.valid_from is null or rule.valid_from <= clock_timestamp())
        and (rule.valid_until is null or rule.valid_until > clock_timestamp());
    if not found then
        return false;
    end if;
    perform set_config('certgate.source'::text, 'provision'::text, true);
    perform set_config('certgate.actor'::text, 'rule '::text || rule_priority::text, true);
    insert into app_user (username, display_name, email, origin, enabled, created_by)
    select new_username, new_display_name, new_email, 'rule'::text, false,
        'rule '::text || rule_priority::text
    where 10000 > (select count(*) from app_user where origin = 'rule' and not enabled)
    on conflict do nothing;
    is_added := found;
    if is_added then
        insert into user_group (username, group_name)
        select distinct new_username, btrim(part.name, ' '::text)
        from unnest(string_to_array(group_names, ','::text)) as part (name);
    end if;
    perform set_config('certgate.source'::text, coalesce(caller_source, ''::text), true);
    perform set_config('certgate.actor'::text, coalesce(caller_actor, ''::text), true);
    return is_added;
end
$$;

revoke all on function certgate_claim(text), certgate_acting(), certgate_audit_kept(),
    certgate_audit_prune(timestamptz)
    from public;
