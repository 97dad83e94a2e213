-- Rules: users by what their certificates say, without a row for each.
--
-- The text of conditions and templates is read by certgate alone: a rule that it cannot read never
-- matches and is reported. These checks keep out what is no rule at all.
-- A check that is null passes: those that can be null for bad input end in coalesce(.., 0).

-- asked where no mapping matched: the first by priority whose conditions hold decides alone
create table rule (
    -- the key and the order: the lowest number is asked first, from 0
    priority integer not null,
    -- what people call the rule
    name text,
    -- distinguished name of the issuer whose certificates the rule is about, as in mapping
    issuer text not null,
    -- authority key identifier: which key of that issuer signed; hexadecimal
    issuer_key_id text,
    -- what must hold, {"all": [...]}; docs/rules.md describes it
    conditions text not null,
    -- template of the name that the application gets, such as {san_upn}
    username text not null,
    -- template of the full name; not for existing users, who have their own
    display_name text,
    -- template of the e-mail address; not for existing users, who have their own
    email text,
    -- groups joined by commas; not for existing users, and never the administrators' group
    group_names text,
    -- existing: the user must be there; any: nothing is stored; provision: added, disabled
    users text not null default 'existing',
    -- off: as if the window were closed
    enabled integer not null default 1,
    -- the row counts from this instant on; null: since ever
    valid_from text,
    -- the row counts before this instant; null: without end
    valid_until text,
    -- what an operator wants to remember
    note text,
    -- who made the row, as claimed; SQLite knows no database user
    created_by text,
    -- when the row was made
    created_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    constraint rule_pkey primary key (priority),
    constraint rule_priority_range check (priority between 0 and 2147483647),
    constraint rule_name_text check (
        length(cast(name as blob)) between 1 and 4096
        and instr(cast(name as blob), x'00') = 0
        and name not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint rule_issuer_text check (
        length(cast(issuer as blob)) between 1 and 4096
        and instr(cast(issuer as blob), x'00') = 0
        and issuer not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint rule_issuer_key_id_text check (
        length(cast(issuer_key_id as blob)) between 1 and 4096
        and instr(cast(issuer_key_id as blob), x'00') = 0
        and issuer_key_id not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint rule_username_text check (
        length(cast(username as blob)) between 1 and 4096
        and instr(cast(username as blob), x'00') = 0
        and username not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint rule_display_name_text check (
        length(cast(display_name as blob)) between 1 and 4096
        and instr(cast(display_name as blob), x'00') = 0
        and display_name not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint rule_email_text check (
        length(cast(email as blob)) between 1 and 4096
        and instr(cast(email as blob), x'00') = 0
        and email not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint rule_group_names_text check (
        length(cast(group_names as blob)) between 1 and 4096
        and instr(cast(group_names as blob), x'00') = 0
        and group_names not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint rule_note_text check (
        length(cast(note as blob)) between 1 and 4096
        and instr(cast(note as blob), x'00') = 0
        and note not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint rule_created_by_text check (
        length(cast(created_by as blob)) between 1 and 4096
        and instr(cast(created_by as blob), x'00') = 0
        and created_by not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint rule_conditions_object check (coalesce(
        case when json_valid(conditions) and instr(cast(conditions as blob), x'00') = 0
            then json_type(conditions) = 'object' else 0 end, 0)),
    constraint rule_conditions_size check (length(cast(conditions as blob)) <= 16384),
    constraint rule_users_kind check (users in ('existing', 'any', 'provision')),
    constraint rule_enabled_boolean check (enabled in (0, 1)),
    constraint rule_valid_from_time check (valid_from is null or coalesce(
        length(cast(valid_from as blob)) <= 35
        and length(cast(valid_from as blob)) = length(valid_from)
        and valid_from glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][T ]*'
        and substr(valid_from, 12, 8) glob '[0-2][0-9]:[0-5][0-9]:[0-5][0-9]'
        and substr(valid_from, 12, 2) <= '23'
        and substr(valid_from, 20) not glob '*[^0-9.:+Z-]*'
        and date(julianday(substr(valid_from, 1, 10))) = substr(valid_from, 1, 10)
        and julianday(valid_from) >= 2440587.5, 0)),
    constraint rule_valid_until_time check (valid_until is null or coalesce(
        length(cast(valid_until as blob)) <= 35
        and length(cast(valid_until as blob)) = length(valid_until)
        and valid_until glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][T ]*'
        and substr(valid_until, 12, 8) glob '[0-2][0-9]:[0-5][0-9]:[0-5][0-9]'
        and substr(valid_until, 12, 2) <= '23'
        and substr(valid_until, 20) not glob '*[^0-9.:+Z-]*'
        and date(julianday(substr(valid_until, 1, 10))) = substr(valid_until, 1, 10)
        and julianday(valid_until) >= 2440587.5, 0)),
    constraint rule_created_at_time check (created_at is null or coalesce(
        length(cast(created_at as blob)) <= 35
        and length(cast(created_at as blob)) = length(created_at)
        and created_at glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][T ]*'
        and substr(created_at, 12, 8) glob '[0-2][0-9]:[0-5][0-9]:[0-5][0-9]'
        and substr(created_at, 12, 2) <= '23'
        and substr(created_at, 20) not glob '*[^0-9.:+Z-]*'
        and date(julianday(substr(created_at, 1, 10))) = substr(created_at, 1, 10)
        and julianday(created_at) >= 2440587.5, 0)),
    constraint rule_window_order check (julianday(valid_from) < julianday(valid_until))
) strict, without rowid;

create trigger rule_changed_insert after insert on rule
begin
    insert into change (relation, key) values ('rule', new.priority);
end;
create trigger rule_changed_update after update on rule
begin
    insert into change (relation, key) values ('rule', new.priority);
    insert into change (relation, key)
    select 'rule', old.priority where old.priority <> new.priority;
end;
create trigger rule_changed_delete after delete on rule
begin
    insert into change (relation, key) values ('rule', old.priority);
end;
