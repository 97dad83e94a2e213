-- Rules: users by what their certificates say, without a row for each.
--
-- The text of conditions and templates is read by certgate alone: a rule that it cannot read never
-- matches and is reported. These checks keep out what is no rule at all.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

create table rule (
    priority integer not null,
    name text collate "C",
    issuer text collate "C" not null,
    issuer_key_id text collate "C",
    conditions json not null,
    username text collate "C" not null,
    display_name text collate "C",
    email text collate "C",
    group_names text collate "C",
    users text collate "C" not null default 'existing',
    enabled boolean not null default true,
    valid_from timestamptz,
    valid_until timestamptz,
    note text collate "C",
    created_by text collate "C" default current_user,
    created_at timestamptz not null default now(),
    constraint rule_pkey primary key (priority),
    constraint rule_priority_range check (priority >= 0),
    constraint rule_name_text check (
        octet_length(name) between 1 and 4096
        and name !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint rule_issuer_text check (
        octet_length(issuer) between 1 and 4096
        and issuer !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint rule_issuer_key_id_text check (
        octet_length(issuer_key_id) between 1 and 4096
        and issuer_key_id !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint rule_username_text check (
        octet_length(username) between 1 and 4096
        and username !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint rule_display_name_text check (
        octet_length(display_name) between 1 and 4096
        and display_name !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint rule_email_text check (
        octet_length(email) between 1 and 4096
        and email !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint rule_group_names_text check (
        octet_length(group_names) between 1 and 4096
        and group_names !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint rule_note_text check (
        octet_length(note) between 1 and 4096
        and note !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint rule_created_by_text check (
        octet_length(created_by) between 1 and 4096
        and created_by !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint rule_conditions_object check (json_typeof(conditions) = 'object'),
    constraint rule_conditions_size check (octet_length(conditions::text) <= 16384),
    constraint rule_users_kind check (users in ('existing', 'any', 'provision')),
    constraint rule_valid_from_time check (
        valid_from >= '1970-01-01 00:00:00+00' and valid_from < '10000-01-01 00:00:00+00'),
    constraint rule_valid_until_time check (
        valid_until >= '1970-01-01 00:00:00+00' and valid_until < '10000-01-01 00:00:00+00'),
    constraint rule_created_at_time check (
        created_at >= '1970-01-01 00:00:00+00' and created_at < '10000-01-01 00:00:00+00'),
    constraint rule_window_order check (valid_from < valid_until)
);
comment on table rule is
    'asked where no mapping matched: the first by priority whose conditions hold decides alone';
comment on column rule.priority is
    'the key and the order: the lowest number is asked first, from 0';
comment on column rule.name is
    'what people call the rule';
comment on column rule.issuer is
    'distinguished name of the issuer whose certificates the rule is about, as in mapping';
comment on column rule.issuer_key_id is
    'authority key identifier: which key of that issuer signed; hexadecimal';
comment on column rule.conditions is
    'what must hold, {"all": [...]}; docs/rules.md describes it';
comment on column rule.username is
    'template of the name that the application gets, such as {san_upn}';
comment on column rule.display_name is
    'template of the full name; not for existing users, who have their own';
comment on column rule.email is
    'template of the e-mail address; not for existing users, who have their own';
comment on column rule.group_names is
    'groups joined by commas; not for existing users, and never the administrators'' group';
comment on column rule.users is
    'existing: the user must be there; any: nothing is stored; provision: added, disabled';
comment on column rule.enabled is
    'off: as if the window were closed';
comment on column rule.valid_from is
    'the row counts from this instant on; null: since ever';
comment on column rule.valid_until is
    'the row counts before this instant; null: without end';
comment on column rule.note is
    'what an operator wants to remember';
comment on column rule.created_by is
    'who made the row, as claimed; by default the database user';
comment on column rule.created_at is
    'when the row was made';

-- Written by the triggers below, never by a person: a writer needs no right on change.
create function certgate_rule_changed() returns trigger
language plpgsql security definer set search_path from current as $$
begin
    case tg_op
        when 'INSERT' then
            insert into change (relation, key) select 'rule', priority::text from new_row;
        when 'UPDATE' then
            insert into change (relation, key)
            select 'rule', priority::text from old_row
            union select 'rule', priority::text from new_row;
        when 'DELETE' then
            insert into change (relation, key) select 'rule', priority::text from old_row;
        else
            insert into change (relation, key) values ('rule', '');
    end case;
    if found then
        perform pg_notify('certgate', '');
    end if;
    return null;
end
$$;
comment on function certgate_rule_changed() is 'trigger: feeds change from rule';
comment on column change.relation is 'app_user, user_group, mapping, block or rule';
comment on column change.key is
    'username; username,group; id; or priority; empty: the table was truncated';
-- Firing a trigger needs no right on its function; making one on a table of one's own does.
revoke all on function certgate_rule_changed() from public;

create trigger rule_changed_insert after insert on rule
    referencing new table as new_row
    for each statement execute function certgate_rule_changed();
create trigger rule_changed_update after update on rule
    referencing old table as old_row new table as new_row
    for each statement execute function certgate_rule_changed();
create trigger rule_changed_delete after delete on rule
    referencing old table as old_row
    for each statement execute function certgate_rule_changed();
create trigger rule_changed_truncate after truncate on rule
    for each statement execute function certgate_rule_changed();
-- Always: a session that replays (session_replication_role) changes the directory as well.
alter table rule enable always trigger rule_changed_insert,
    enable always trigger rule_changed_update,
    enable always trigger rule_changed_delete,
    enable always trigger rule_changed_truncate;
