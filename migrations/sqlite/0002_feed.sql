-- The change feed: which rows changed, for the programs that keep a copy of the directory.
--
-- SQLite has one writer at a time, so ids rise in the order of commits; a reader remembers the
-- last id it has seen. The feed trims itself: whoever is further behind than it is long loads anew.

-- Which rows changed, old and new keys; written by the triggers below.
create table change (
    id integer constraint change_pkey primary key autoincrement,
    -- When it changed.
    at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    -- app_user, user_group, mapping or block.
    relation text not null,
    -- Username; username and group joined by a comma; or id.
    key text not null
) strict;

-- The state of the change feed, one row.
create table feed (
    -- Holds the table to one row.
    one integer not null default 1,
    -- When the feed was made: a file has no standby that would need a heartbeat.
    beat_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    constraint feed_pkey primary key (one),
    constraint feed_one_row check (one = 1)
) strict;
insert into feed default values;

-- At most 100,000 changes are kept.
create trigger change_trimmed after insert on change
begin
    delete from change where id <= new.id - 100000;
end;

create trigger app_user_changed_insert after insert on app_user
begin
    insert into change (relation, key) values ('app_user', new.username);
end;
create trigger app_user_changed_update after update on app_user
begin
    insert into change (relation, key) values ('app_user', new.username);
    insert into change (relation, key)
    select 'app_user', old.username
    where old.username <> new.username collate binary;
end;
create trigger app_user_changed_delete after delete on app_user
begin
    insert into change (relation, key) values ('app_user', old.username);
end;

create trigger user_group_changed_insert after insert on user_group
begin
    insert into change (relation, key) values ('user_group', new.username || ',' || new.group_name);
end;
create trigger user_group_changed_update after update on user_group
begin
    insert into change (relation, key) values ('user_group', new.username || ',' || new.group_name);
    insert into change (relation, key)
    select 'user_group', old.username || ',' || old.group_name
    where old.username <> new.username or old.group_name <> new.group_name;
end;
create trigger user_group_changed_delete after delete on user_group
begin
    insert into change (relation, key) values ('user_group', old.username || ',' || old.group_name);
end;

create trigger mapping_changed_insert after insert on mapping
begin
    insert into change (relation, key) values ('mapping', new.id);
end;
create trigger mapping_changed_update after update on mapping
begin
    insert into change (relation, key) values ('mapping', new.id);
end;
create trigger mapping_changed_delete after delete on mapping
begin
    insert into change (relation, key) values ('mapping', old.id);
end;

create trigger block_changed_insert after insert on block
begin
    insert into change (relation, key) values ('block', new.id);
end;
create trigger block_changed_update after update on block
begin
    insert into change (relation, key) values ('block', new.id);
end;
create trigger block_changed_delete after delete on block
begin
    insert into change (relation, key) values ('block', old.id);
end;
