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
    'username; username and group joined by a comma; or id; empty: the table was truncated';

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
    'changes of transactions before this one may be gone: a cursor before it must load anew';

-- Written by the triggers below, never by a person: a writer needs no right on change.
create function certgate_app_user_changed() returns trigger
language plpgsql security definer set search_path from current as $$
begin
    case tg_op
        when 'INSERT' then
            insert into change (relation, key) select 'app_user', username from new_row;
        when 'UPDATE' then
            insert into change (relation, key)
            select 'app_user', username from old_row
            union select 'app_user', username from new_row;
        when 'DELETE' then
            insert into change (relation, key) select 'app_user', username from old_row;
        else
            insert into change (relation, key) values ('app_user', '');
    end case;
    if found then
        perform pg_notify('certgate', '');
    end if;
    return null;
end
$$;

create function certgate_user_group_changed() returns trigger
language plpgsql security definer set search_path from current as $$
begin
    case tg_op
        when 'INSERT' then
            insert into change (relation, key)
            select 'user_group', username || ',' || group_name from new_row;
        when 'UPDATE' then
            insert into change (relation, key)
            select 'user_group', username || ',' || group_name from old_row
            union select 'user_group', username || ',' || group_name from new_row;
        when 'DELETE' then
            insert into change (relation, key)
            select 'user_group', username || ',' || group_name from old_row;
        else
            insert into change (relation, key) values ('user_group', '');
    end case;
    if found then
        perform pg_notify('certgate', '');
    end if;
    return null;
end
$$;

create function certgate_mapping_changed() returns trigger
language plpgsql security definer set search_path from current as $$
begin
    case tg_op
        when 'INSERT' then
            insert into change (relation, key) select 'mapping', id::text from new_row;
        when 'UPDATE' then
            insert into change (relation, key)
            select 'mapping', id::text from old_row
            union select 'mapping', id::text from new_row;
        when 'DELETE' then
            insert into change (relation, key) select 'mapping', id::text from old_row;
        else
            insert into change (relation, key) values ('mapping', '');
    end case;
    if found then
        perform pg_notify('certgate', '');
    end if;
    return null;
end
$$;

create function certgate_block_changed() returns trigger
language plpgsql security definer set search_path from current as $$
begin
    case tg_op
        when 'INSERT' then
            insert into change (relation, key) select 'block', id::text from new_row;
        when 'UPDATE' then
            insert into change (relation, key)
            select 'block', id::text from old_row
            union select 'block', id::text from new_row;
        when 'DELETE' then
            insert into change (relation, key) select 'block', id::text from old_row;
        else
            insert into change (relation, key) values ('block', '');
    end case;
    if found then
        perform pg_notify('certgate', '');
    end if;
    return null;
end
$$;

comment on function certgate_app_user_changed() is 'trigger: feeds change from app_user';
comment on function certgate_user_group_changed() is 'trigger: feeds change from user_group';
comment on function certgate_mapping_changed() is 'trigger: feeds change from mapping';
comment on function certgate_block_changed() is 'trigger: feeds change from block';
-- Firing a trigger needs no right on its function; making one on a table of one's own does.
revoke all on function certgate_app_user_changed(), certgate_user_group_changed(),
    certgate_mapping_changed(), certgate_block_changed() from public;

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
-- 100,000 younger ones follow: whoever has not looked by then loads anew.
create function certgate_tend() returns void
language plpgsql security definer set search_path from current as $$
declare
    settled constant xid8 := pg_snapshot_xmin(pg_current_snapshot());
    keep_from xid8;
    last_gone xid8;
begin
    if not pg_try_advisory_xact_lock(hashtext('certgate_tend'), hashtext(current_schema())) then
        return;
    end if;
    update feed set beat_at = clock_timestamp()
    where beat_at < clock_timestamp() - interval '2 seconds'
        or beat_at > clock_timestamp() + interval '2 seconds';
    if not found then
        return;
    end if;
    select xid into keep_from from change order by xid desc offset 100000 limit 1;
    with gone as (
        delete from change
        where xid < settled
            and (at < clock_timestamp() - interval '10 minutes' or xid <= keep_from)
        returning xid
    )
    select xid into last_gone from gone order by xid desc limit 1;
    if last_gone is not null then
        update feed set trimmed_to = (last_gone::text::numeric + 1)::text::xid8
        where trimmed_to <= last_gone;
    end if;
end
$$;
comment on function certgate_tend() is
    'advances feed.beat_at and trims change; for any role: it does nothing else';
