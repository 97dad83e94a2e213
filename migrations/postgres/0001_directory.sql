-- The directory: users, their groups, what certificates are mapped to them, and what is blocked.
--
-- These tables are an interface: operators write them by hand. So every rule holds here, for any
-- client, and has a name: certgate turns the name into a sentence. The same names are on SQLite.
-- Text is collated "C": names are compared byte for byte, whatever the locale.
--
-- The functions below find their tables on the search path of this transaction, and on no other.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

do $$
begin
    if current_setting('server_version_num')::integer < 150000 then
        raise exception 'certgate needs PostgreSQL 15 or newer, and this is %',
            current_setting('server_version');
    end if;
end
$$;

create table certgate_schema (
    one boolean not null default true,
    version integer not null,
    compatible_from integer not null,
    constraint certgate_schema_pkey primary key (one),
    constraint certgate_schema_one_row check (one),
    constraint certgate_schema_order check (compatible_from between 1 and version)
);
comment on table certgate_schema is 'which migrations are applied; certgate migrate writes it';
comment on column certgate_schema.one is 'holds the table to one row';
comment on column certgate_schema.version is 'the last migration applied';
comment on column certgate_schema.compatible_from is
    'the oldest program, named by the last migration it knows, that can run on this schema';

create table app_user (
    username text collate "C" not null,
    display_name text collate "C",
    email text collate "C",
    origin text collate "C" not null default 'operator',
    mapped_only boolean not null default false,
    enabled boolean not null default true,
    valid_from timestamptz,
    valid_until timestamptz,
    note text collate "C",
    created_by text collate "C" default current_user,
    created_at timestamptz not null default now(),
    constraint app_user_pkey primary key (username),
    constraint app_user_username_name check (
        octet_length(username) between 1 and 256
        and username ~ '^[!-~]+$' and strpos(username, ',') = 0),
    constraint app_user_display_name_text check (
        octet_length(display_name) between 1 and 4096
        and display_name !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint app_user_email_text check (
        octet_length(email) between 1 and 4096
        and email !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint app_user_origin_known check (origin in ('operator', 'rule')),
    constraint app_user_valid_from_time check (
        valid_from >= '1970-01-01 00:00:00+00' and valid_from < '10000-01-01 00:00:00+00'),
    constraint app_user_valid_until_time check (
        valid_until >= '1970-01-01 00:00:00+00' and valid_until < '10000-01-01 00:00:00+00'),
    constraint app_user_note_text check (
        octet_length(note) between 1 and 4096
        and note !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint app_user_created_by_text check (
        octet_length(created_by) between 1 and 4096
        and created_by !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint app_user_created_at_time check (
        created_at >= '1970-01-01 00:00:00+00' and created_at < '10000-01-01 00:00:00+00'),
    constraint app_user_window_order check (valid_from < valid_until)
);
comment on table app_user is
    'a user whom certificates may be mapped to';
comment on column app_user.username is
    'the name the application gets: visible ASCII, no comma, 1 to 256 bytes, unique without case';
comment on column app_user.display_name is
    'the full name that the application gets';
comment on column app_user.email is
    'the e-mail address that the application gets';
comment on column app_user.origin is
    'operator: made by a person; rule: provisioned by a rule';
comment on column app_user.mapped_only is
    'only mappings lead to this user, never a rule';
comment on column app_user.enabled is
    'off: as if the window were closed';
comment on column app_user.valid_from is
    'the row counts from this instant on; null: since ever';
comment on column app_user.valid_until is
    'the row counts before this instant; null: without end';
comment on column app_user.note is
    'what an operator wants to remember';
comment on column app_user.created_by is
    'who made the row, as claimed; by default the database user';
comment on column app_user.created_at is
    'when the row was made';

create table user_group (
    username text collate "C" not null,
    group_name text collate "C" not null,
    constraint user_group_pkey primary key (username, group_name),
    constraint user_group_username_known foreign key (username) references app_user (username)
        on update cascade on delete cascade,
    constraint user_group_group_name_name check (
        octet_length(group_name) between 1 and 256
        and group_name ~ '^[!-~]+$' and strpos(group_name, ',') = 0)
);
comment on table user_group is
    'which user is in which group';
comment on column user_group.username is
    'an existing user, byte for byte; follows a rename, goes with the user';
comment on column user_group.group_name is
    'the group: visible ASCII without comma, 1 to 256 bytes';

create table mapping (
    id bigint generated by default as identity,
    username text collate "C" not null,
    sha256 text collate "C",
    spki_sha256 text collate "C",
    issuer text collate "C",
    issuer_key_id text collate "C",
    serial text collate "C",
    subject text collate "C",
    san_email text collate "C",
    san_upn text collate "C",
    san_uri text collate "C",
    san_dns text collate "C",
    common_name text collate "C",
    enabled boolean not null default true,
    valid_from timestamptz,
    valid_until timestamptz,
    revoked_at timestamptz,
    revoked_reason text collate "C",
    note text collate "C",
    created_by text collate "C" default current_user,
    created_at timestamptz not null default now(),
    constraint mapping_pkey primary key (id),
    constraint mapping_username_known foreign key (username) references app_user (username)
        on update cascade on delete cascade,
    constraint mapping_sha256_hex check (
        sha256 ~ '^([0-9A-Fa-f]{64}|[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){31})$'),
    constraint mapping_spki_sha256_hex check (
        spki_sha256 ~ '^([0-9A-Fa-f]{64}|[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){31})$'),
    constraint mapping_issuer_text check (
        octet_length(issuer) between 1 and 4096
        and issuer !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint mapping_issuer_key_id_text check (
        octet_length(issuer_key_id) between 1 and 4096
        and issuer_key_id !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint mapping_serial_spelling check (
        serial ~ '^(0[xX])?[0-9A-Fa-f]{1,64}$'
        or serial ~ '^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){1,20}$'
        or serial ~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$'
        or serial ~ '^[{][0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}[}]$'),
    constraint mapping_serial_octets check (
        length(ltrim(translate(serial, 'xX:-{}', ''), '0')) between 1 and 40),
    constraint mapping_subject_text check (
        octet_length(subject) between 1 and 4096
        and subject !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint mapping_san_email_text check (
        octet_length(san_email) between 1 and 4096
        and san_email !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint mapping_san_upn_text check (
        octet_length(san_upn) between 1 and 4096
        and san_upn !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint mapping_san_uri_text check (
        octet_length(san_uri) between 1 and 4096
        and san_uri !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint mapping_san_dns_text check (
        octet_length(san_dns) between 1 and 4096
        and san_dns !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint mapping_common_name_text check (
        octet_length(common_name) between 1 and 4096
        and common_name !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint mapping_valid_from_time check (
        valid_from >= '1970-01-01 00:00:00+00' and valid_from < '10000-01-01 00:00:00+00'),
    constraint mapping_valid_until_time check (
        valid_until >= '1970-01-01 00:00:00+00' and valid_until < '10000-01-01 00:00:00+00'),
    constraint mapping_revoked_at_time check (
        revoked_at >= '1970-01-01 00:00:00+00' and revoked_at < '10000-01-01 00:00:00+00'),
    constraint mapping_revoked_reason_text check (
        octet_length(revoked_reason) between 1 and 4096
        and revoked_reason !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint mapping_note_text check (
        octet_length(note) between 1 and 4096
        and note !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint mapping_created_by_text check (
        octet_length(created_by) between 1 and 4096
        and created_by !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint mapping_created_at_time check (
        created_at >= '1970-01-01 00:00:00+00' and created_at < '10000-01-01 00:00:00+00'),
    constraint mapping_window_order check (valid_from < valid_until),
    constraint mapping_pattern_specific check (num_nonnulls(
        sha256, spki_sha256, serial, subject, san_email, san_upn,
        san_uri, san_dns, common_name) > 0)
);
comment on table mapping is
    'whose certificate this is: agrees when every column that is set agrees; null is not looked at';
comment on column mapping.id is
    'names the row in answers and in the log; never used again';
comment on column mapping.username is
    'an existing user, byte for byte; follows a rename, goes with the user';
comment on column mapping.sha256 is
    'SHA-256 over the certificate (DER): 64 hexadecimal digits, colons between pairs allowed';
comment on column mapping.spki_sha256 is
    'SHA-256 over the public key (SubjectPublicKeyInfo): survives a renewal that keeps the key';
comment on column mapping.issuer is
    'distinguished name of the issuer: RFC 4514, OpenSSL text or the slash form';
comment on column mapping.issuer_key_id is
    'authority key identifier: which key of that issuer signed; hexadecimal';
comment on column mapping.serial is
    'serial number, always hexadecimal (1001 too): CA92, ca:92, 0xCA92 or as a UUID';
comment on column mapping.subject is
    'distinguished name of the subject, as issuer';
comment on column mapping.san_email is
    'one of the e-mail addresses in the subject alternative name';
comment on column mapping.san_upn is
    'one of the Microsoft user principal names in the subject alternative name';
comment on column mapping.san_uri is
    'one of the URIs in the subject alternative name; compared exactly';
comment on column mapping.san_dns is
    'one of the DNS names in the subject alternative name; a wildcard never expands';
comment on column mapping.common_name is
    'the common name of the subject, only if it has exactly one; compared exactly';
comment on column mapping.enabled is
    'off: as if the window were closed';
comment on column mapping.valid_from is
    'the row counts from this instant on; null: since ever';
comment on column mapping.valid_until is
    'the row counts before this instant; null: without end';
comment on column mapping.revoked_at is
    'from this instant on nobody comes in by this certificate, whatever else matches';
comment on column mapping.revoked_reason is
    'why it was revoked';
comment on column mapping.note is
    'what an operator wants to remember';
comment on column mapping.created_by is
    'who made the row, as claimed; by default the database user';
comment on column mapping.created_at is
    'when the row was made';

create table block (
    id bigint generated by default as identity,
    sha256 text collate "C",
    spki_sha256 text collate "C",
    issuer text collate "C",
    issuer_key_id text collate "C",
    serial text collate "C",
    subject text collate "C",
    san_email text collate "C",
    san_upn text collate "C",
    san_uri text collate "C",
    san_dns text collate "C",
    common_name text collate "C",
    enabled boolean not null default true,
    valid_from timestamptz,
    valid_until timestamptz,
    reason text collate "C",
    note text collate "C",
    created_by text collate "C" default current_user,
    created_at timestamptz not null default now(),
    constraint block_pkey primary key (id),
    constraint block_sha256_hex check (
        sha256 ~ '^([0-9A-Fa-f]{64}|[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){31})$'),
    constraint block_spki_sha256_hex check (
        spki_sha256 ~ '^([0-9A-Fa-f]{64}|[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){31})$'),
    constraint block_issuer_text check (
        octet_length(issuer) between 1 and 4096
        and issuer !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint block_issuer_key_id_text check (
        octet_length(issuer_key_id) between 1 and 4096
        and issuer_key_id !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint block_serial_spelling check (
        serial ~ '^(0[xX])?[0-9A-Fa-f]{1,64}$'
        or serial ~ '^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){1,20}$'
        or serial ~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$'
        or serial ~ '^[{][0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}[}]$'),
    constraint block_serial_octets check (
        length(ltrim(translate(serial, 'xX:-{}', ''), '0')) between 1 and 40),
    constraint block_subject_text check (
        octet_length(subject) between 1 and 4096
        and subject !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint block_san_email_text check (
        octet_length(san_email) between 1 and 4096
        and san_email !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint block_san_upn_text check (
        octet_length(san_upn) between 1 and 4096
        and san_upn !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint block_san_uri_text check (
        octet_length(san_uri) between 1 and 4096
        and san_uri !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint block_san_dns_text check (
        octet_length(san_dns) between 1 and 4096
        and san_dns !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint block_common_name_text check (
        octet_length(common_name) between 1 and 4096
        and common_name !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint block_valid_from_time check (
        valid_from >= '1970-01-01 00:00:00+00' and valid_from < '10000-01-01 00:00:00+00'),
    constraint block_valid_until_time check (
        valid_until >= '1970-01-01 00:00:00+00' and valid_until < '10000-01-01 00:00:00+00'),
    constraint block_reason_text check (
        octet_length(reason) between 1 and 4096
        and reason !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint block_note_text check (
        octet_length(note) between 1 and 4096
        and note !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint block_created_by_text check (
        octet_length(created_by) between 1 and 4096
        and created_by !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint block_created_at_time check (
        created_at >= '1970-01-01 00:00:00+00' and created_at < '10000-01-01 00:00:00+00'),
    constraint block_window_order check (valid_from < valid_until),
    constraint block_pattern_present check (num_nonnulls(
        sha256, spki_sha256, issuer, issuer_key_id, serial, subject,
        san_email, san_upn, san_uri, san_dns, common_name) > 0)
);
comment on table block is
    'certificates refused whatever they are mapped to; an issuer or a key id alone blocks a CA';
comment on column block.id is
    'names the row in answers and in the log; never used again';
comment on column block.sha256 is
    'SHA-256 over the certificate (DER): 64 hexadecimal digits, colons between pairs allowed';
comment on column block.spki_sha256 is
    'SHA-256 over the public key (SubjectPublicKeyInfo): survives a renewal that keeps the key';
comment on column block.issuer is
    'distinguished name of the issuer: RFC 4514, OpenSSL text or the slash form';
comment on column block.issuer_key_id is
    'authority key identifier: which key of that issuer signed; hexadecimal';
comment on column block.serial is
    'serial number, always hexadecimal (1001 too): CA92, ca:92, 0xCA92 or as a UUID';
comment on column block.subject is
    'distinguished name of the subject, as issuer';
comment on column block.san_email is
    'one of the e-mail addresses in the subject alternative name';
comment on column block.san_upn is
    'one of the Microsoft user principal names in the subject alternative name';
comment on column block.san_uri is
    'one of the URIs in the subject alternative name; compared exactly';
comment on column block.san_dns is
    'one of the DNS names in the subject alternative name; a wildcard never expands';
comment on column block.common_name is
    'the common name of the subject, only if it has exactly one; compared exactly';
comment on column block.enabled is
    'off: as if the window were closed';
comment on column block.valid_from is
    'the row counts from this instant on; null: since ever';
comment on column block.valid_until is
    'the row counts before this instant; null: without end';
comment on column block.reason is
    'why it is blocked';
comment on column block.note is
    'what an operator wants to remember';
comment on column block.created_by is
    'who made the row, as claimed; by default the database user';
comment on column block.created_at is
    'when the row was made';
create unique index app_user_username_without_case on app_user (lower(username));
comment on index app_user_username_without_case is
    'two users must not differ by case alone: many an application folds it';
create index mapping_username on mapping (username);
comment on index mapping_username is 'for the cascade from app_user';

-- User and groups travel in one answer header: together at most 8 KiB, separators counted. Two
-- transactions that each fit may not fit together; certgate then treats the user as disabled. A
-- lock here would let a forgotten begin hold up others.
create function certgate_header_size() returns trigger
language plpgsql security definer set search_path from current as $$
declare
    too_long text;
begin
    select min(sized.username collate "C") into too_long
    from (
        select member.username
        from user_group member
        where member.username in (select new_row.username from new_row)
        group by member.username
        having octet_length(member.username) + sum(octet_length(member.group_name) + 1) - 1 > 8192
    ) sized;
    if too_long is not null then
        raise exception 'user % and its groups together exceed 8192 bytes', too_long
            using errcode = 'check_violation', schema = tg_table_schema,
                table = tg_table_name, constraint = 'user_group_header_size';
    end if;
    return null;
end
$$;
comment on function certgate_header_size() is 'trigger: user and groups fit in a header';
revoke all on function certgate_header_size() from public;

create trigger user_group_header_size_insert after insert on user_group
    referencing new table as new_row
    for each statement execute function certgate_header_size();
create trigger user_group_header_size_update after update on user_group
    referencing new table as new_row
    for each statement execute function certgate_header_size();
