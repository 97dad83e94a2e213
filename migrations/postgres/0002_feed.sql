-- The change feed: which rows changed, for the programs that keep a copy of the directory.
--
-- No lock and no order among writers: each row carries the transaction that wrote it, and a
-- reader takes everything from the oldest transaction that it has not seen the end of. A
-- notification only says "look"; one that is lost is made up for by a poll.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

create table change (
    xid xid8 not null default pg_current_xact_id(),
    at timestamptz not null default clock_timestamp(),
    relation text collate "C" not null,
    key text collate "C" not null
);
create index change_xid on change (xid);
comment on table change is 'which rows changed, old and new keys; trimmed by certgate_tend()';
comment on index change_xid is 'readers ask from their cursor on; trimming asks below it';
comment on column change.xid is 'the transaction that changed the row';
comment on column change.at is 'when it did';
comment on column change.relation is 'app_user, user_group, mapping or block';
comment on column change.key is
    'username; username and group joined by a comma; or id; empty: any row of the relation';

create table feed (
    one boolean not null default true,
    beat_at timestamptz not null default now(),
    trimmed_to xid8 not null default '0',
    constraint feed_pkey primary key (one),
    constraint feed_one_row check (one)
);
insert into feed default values;
comment on table feed is 'the state of the change feed, one row';
comment on column feed.one is 'holds the table to one row';
comment on column feed.beat_at is
    'advanced every few seconds on the primary: a standby that sees it stand still is cut off';
comment on column feed.trimmed_to is
    'grows with every trim; changes of transactions before this one may be gone';

-- Written by the triggers below, never by a person: a writer needs no right on change. More than
-- 10,000 keys of one statement become the one key that means any row: a follower would load
-- everything anew in any case, and a bulk load must not fill the feed.
create function certgate_note(changed_relation text, keys text[]) returns void
language plpgsql set search_path from current as $$
begin
    if cardinality(keys) > 10000 then
        keys := array[''];
    end if;
    insert into change (relation, key)
    select distinct changed_relation, noted.key from unnest(keys) noted (key);
    if found then
        perform pg_notify('certgate', '');
    end if;
end
$$;

create function certgate_app_user_changed() returns trigger
language plpgsql security definer set search_path from current as $$
declare
    keys text[];
begin
    case tg_op
        when 'INSERT' then keys := array(select username from new_row limit 10001);
        when 'UPDATE' then keys := array(
            select username from old_row union all select username from new_row limit 10001);
        when 'DELETE' then keys := array(select username from old_row limit 10001);
        else keys := array[''];
    end case;
    perform certgate_note('app_user', keys);
    return null;
end
$$;

create function certgate_user_group_changed() returns trigger
language plpgsql security definer set search_path from current as $$
declare
    keys text[];
begin
    case tg_op
        when 'INSERT' then keys := array(
            select username || ',' || group_name from new_row limit 10001);
        when 'UPDATE' then keys := array(
            select username || ',' || group_name from old_row
            union all select username || ',' || group_name from new_row limit 10001);
        when 'DELETE' then keys := array(
            select username || ',' || group_name from old_row limit 10001);
        else keys := array[''];
    end case;
    perform certgate_note('user_group', keys);
    return null;
end
$$;

create function certgate_mapping_changed() returns trigger
language plpgsql security definer set search_path from current as $$
declare
    keys text[];
begin
    case tg_op
        when 'INSERT' then keys := array(select id::text from new_row limit 10001);
        when 'UPDATE' then keys := array(
            select id::text from old_row union all select id::text from new_row limit 10001);
        when 'DELETE' then keys := array(select id::text from old_row limit 10001);
        else keys := array[''];
    end case;
    perform certgate_note('mapping', keys);
    return null;
end
$$;

create function certgate_block_changed() returns trigger
language plpgsql security definer set search_path from current as $$
declare
    keys text[];
begin
    case tg_op
        when 'INSERT' then keys := array(select id::text from new_row limit 10001);
        when 'UPDATE' then keys := array(
            select id::text from old_row union all select id::text from new_row limit 10001);
        when 'DELETE' then keys := array(select id::text from old_row limit 10001);
        else keys := array[''];
    end case;
    perform certgate_note('block', keys);
    return null;
end
$$;

comment on function certgate_note(text, text[]) is 'writes changed keys down and notifies';
comment on function certgate_app_user_changed() is 'trigger: feeds change from app_user';
comment on function certgate_user_group_changed() is 'trigger: feeds change from user_group';
comment on function certgate_mapping_changed() is 'trigger: feeds change from mapping';
comment on function certgate_block_changed() is 'trigger: feeds change from block';
-- Firing a trigger needs no right on its function; making one on a table of one's own does.
revoke all on function certgate_note(text, text[]), certgate_app_user_changed(),
    certgate_user_group_changed(), certgate_mapping_changed(), certgate_block_changed()
    from public;

-- Always: a session that replays (session_replication_role) changes the directory as well.
do $$
declare
    relation text;
begin
    foreach relation in array array['app_user', 'user_group', 'mapping', 'block'] loop
        execute format('create trigger %1$s_changed_insert after insert on %1$I
            referencing new table as new_row
            for each statement execute function certgate_%1$s_changed()', relation);
        execute format('create trigger %1$s_changed_update after update on %1$I
            referencing old table as old_row new table as new_row
            for each statement execute function certgate_%1$s_changed()', relation);
        execute format('create trigger %1$s_changed_delete after delete on %1$I
            referencing old table as old_row
            for each statement execute function certgate_%1$s_changed()', relation);
        execute format('create trigger %1$s_changed_truncate after truncate on %1$I
            for each statement execute function certgate_%1$s_changed()', relation);
        execute format('alter table %1$I enable always trigger %1$s_changed_insert,
            enable always trigger %1$s_changed_update,
            enable always trigger %1$s_changed_delete,
            enable always trigger %1$s_changed_truncate', relation);
    end loop;
end
$$;

-- Called by followers of a primary every few seconds; one at a time, the others return at once.
-- Changes go when no transaction older than them is open and they are 10 minutes old, or when
-- 100,000 later ones follow, even while a forgotten transaction is open: the feed stays bounded.
-- Whoever has not looked by then sees trimmed_to grow past its cursor, and loads anew. One call
-- removes at most 50,000, so that it never holds up its caller.
-- Names of functions and types are exact: a role that may create in this schema could otherwise
-- offer a better match, and have it run with the rights of the owner.
create function certgate_tend() returns void
language plpgsql security definer set search_path from current as $$
declare
    settled constant xid8 := pg_snapshot_xmin(pg_current_snapshot());
    surplus_to xid8;
    last_gone xid8;
begin
    if not pg_try_advisory_xact_lock(
        hashtext('certgate_tend'::text), hashtext(current_schema()::text)) then
        return;
    end if;
    update feed set beat_at = clock_timestamp()
    where beat_at < clock_timestamp() - interval '2 seconds'
        or beat_at > clock_timestamp() + interval '2 seconds';
    if not found then
        return;
    end if;
    select change.xid into surplus_to
    from change order by change.xid desc offset 100000 limit 1;
    with oldest as materialized (
        select change.ctid as place, change.xid, change.at
        from change order by change.xid limit 50000
    ), gone as (
        delete from change using oldest
        where change.ctid = oldest.place
            and (oldest.xid <= surplus_to
                or (oldest.xid < settled
                    and oldest.at < clock_timestamp() - interval '10 minutes'))
        returning change.xid
    )
    select gone.xid into last_gone from gone order by gone.xid desc limit 1;
    if last_gone is not null then
        update feed
        set trimmed_to = (greatest(trimmed_to, last_gone)::text::numeric + 1::numeric)::text::xid8;
    end if;
end
$$;
comment on function certgate_tend() is
    'advances feed.beat_at and trims change; for any role: it does nothing else';
