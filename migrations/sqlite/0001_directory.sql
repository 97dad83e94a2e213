-- The directory: users, their groups, what certificates are mapped to them, and what is blocked.
--
-- These tables are an interface: operators write them by hand, with the stock sqlite3 shell too.
-- That shell has foreign keys off and recursive triggers off, and `insert or replace` deletes
-- without firing a delete trigger. So users are checked, followed and removed by triggers, ids
-- never change, and no table has a unique rule besides its key. Every rule has a name, the same
-- as on PostgreSQL: certgate turns the name into a sentence.
-- A check that is null passes: those that can be null for bad input end in coalesce(.., 0).

-- Which migrations are applied; certgate writes it.
create table certgate_schema (
    -- Holds the table to one row.
    one integer not null default 1,
    -- The last migration applied.
    version integer not null,
    -- The oldest program, named by the last migration it knows, that can run on this schema.
    compatible_from integer not null,
    constraint certgate_schema_pkey primary key (one),
    constraint certgate_schema_one_row check (one = 1),
    constraint certgate_schema_order check (compatible_from between 1 and version)
) strict;

-- a user whom certificates may be mapped to
create table app_user (
    -- the name that the application gets: visible ASCII, no comma, 1 to 256 bytes, unique without
    -- case
    username text not null collate nocase,
    -- the full name that the application gets
    display_name text,
    -- the e-mail address that the application gets
    email text,
    -- operator: made by a person; rule: provisioned by a rule
    origin text not null default 'operator',
    -- only mappings lead to this user, never a rule
    mapped_only integer not null default 0,
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
    constraint app_user_pkey primary key (username),
    constraint app_user_username_name check (
        length(cast(username as blob)) between 1 and 256
        and length(cast(username as blob)) = length(username)
        and username not glob '*[^!-~]*' and instr(username, ',') = 0),
    constraint app_user_display_name_text check (
        length(cast(display_name as blob)) between 1 and 4096
        and instr(cast(display_name as blob), x'00') = 0
        and display_name not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint app_user_email_text check (
        length(cast(email as blob)) between 1 and 4096
        and instr(cast(email as blob), x'00') = 0
        and email not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint app_user_origin_known check (origin in ('operator', 'rule')),
    constraint app_user_mapped_only_boolean check (mapped_only in (0, 1)),
    constraint app_user_enabled_boolean check (enabled in (0, 1)),
    constraint app_user_valid_from_time check (valid_from is null or coalesce(
        length(cast(valid_from as blob)) <= 35
        and length(cast(valid_from as blob)) = length(valid_from)
        and valid_from glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][T ]*'
        and substr(valid_from, 12, 8) glob '[0-2][0-9]:[0-5][0-9]:[0-5][0-9]'
        and substr(valid_from, 12, 2) <= '23'
        and substr(valid_from, 20) not glob '*[^0-9.:+Z-]*'
        and substr(valid_from, 20) not glob
            '.[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]*'
        and date(julianday(substr(valid_from, 1, 10))) = substr(valid_from, 1, 10)
        and julianday(valid_from) >= 2440587.5, 0)),
    constraint app_user_valid_until_time check (valid_until is null or coalesce(
        length(cast(valid_until as blob)) <= 35
        and length(cast(valid_until as blob)) = length(valid_until)
        and valid_until glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][T ]*'
        and substr(valid_until, 12, 8) glob '[0-2][0-9]:[0-5][0-9]:[0-5][0-9]'
        and substr(valid_until, 12, 2) <= '23'
        and substr(valid_until, 20) not glob '*[^0-9.:+Z-]*'
        and substr(valid_until, 20) not glob
            '.[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]*'
        and date(julianday(substr(valid_until, 1, 10))) = substr(valid_until, 1, 10)
        and julianday(valid_until) >= 2440587.5, 0)),
    constraint app_user_note_text check (
        length(cast(note as blob)) between 1 and 4096
        and instr(cast(note as blob), x'00') = 0
        and note not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint app_user_created_by_text check (
        length(cast(created_by as blob)) between 1 and 4096
        and instr(cast(created_by as blob), x'00') = 0
        and created_by not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint app_user_created_at_time check (created_at is null or coalesce(
        length(cast(created_at as blob)) <= 35
        and length(cast(created_at as blob)) = length(created_at)
        and created_at glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][T ]*'
        and substr(created_at, 12, 8) glob '[0-2][0-9]:[0-5][0-9]:[0-5][0-9]'
        and substr(created_at, 12, 2) <= '23'
        and substr(created_at, 20) not glob '*[^0-9.:+Z-]*'
        and substr(created_at, 20) not glob
            '.[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]*'
        and date(julianday(substr(created_at, 1, 10))) = substr(created_at, 1, 10)
        and julianday(created_at) >= 2440587.5, 0)),
    constraint app_user_window_order check (julianday(valid_from) < julianday(valid_until))
) strict, without rowid;

-- which user is in which group
create table user_group (
    -- an existing user, byte for byte; follows a rename, goes with the user
    username text not null,
    -- the group: visible ASCII without comma, 1 to 256 bytes
    group_name text not null,
    constraint user_group_pkey primary key (username, group_name),
    constraint user_group_group_name_name check (
        length(cast(group_name as blob)) between 1 and 256
        and length(cast(group_name as blob)) = length(group_name)
        and group_name not glob '*[^!-~]*' and instr(group_name, ',') = 0)
) strict, without rowid;

-- whose certificate this is: agrees when every column that is set agrees; null is not looked at
create table mapping (
    -- names the row in answers and in the log; never used again
    id integer constraint mapping_pkey primary key autoincrement,
    -- an existing user, byte for byte; follows a rename, goes with the user
    username text not null,
    -- SHA-256 over the certificate (DER): 64 hexadecimal digits, colons between pairs allowed
    sha256 text,
    -- SHA-256 over the public key (SubjectPublicKeyInfo): survives a renewal that keeps the key
    spki_sha256 text,
    -- distinguished name of the issuer: RFC 4514, OpenSSL text or the slash form
    issuer text,
    -- authority key identifier: which key of that issuer signed; hexadecimal
    issuer_key_id text,
    -- serial number, always hexadecimal (1001 too): CA92, ca:92, 0xCA92 or as a UUID
    serial text,
    -- distinguished name of the subject, as issuer
    subject text,
    -- one of the e-mail addresses in the subject alternative name
    san_email text,
    -- one of the Microsoft user principal names in the subject alternative name
    san_upn text,
    -- one of the URIs in the subject alternative name; compared exactly
    san_uri text,
    -- one of the DNS names in the subject alternative name; a wildcard never expands
    san_dns text,
    -- the common name of the subject, only if it has exactly one; compared exactly
    common_name text,
    -- off: as if the window were closed
    enabled integer not null default 1,
    -- the row counts from this instant on; null: since ever
    valid_from text,
    -- the row counts before this instant; null: without end
    valid_until text,
    -- from this instant on nobody comes in by this certificate, whatever else matches
    revoked_at text,
    -- why it was revoked
    revoked_reason text,
    -- what an operator wants to remember
    note text,
    -- who made the row, as claimed; SQLite knows no database user
    created_by text,
    -- when the row was made
    created_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    constraint mapping_sha256_hex check (
        length(replace(sha256, ':', '')) = 64
        and replace(sha256, ':', '') not glob '*[^0-9A-Fa-f]*'
        and length(cast(sha256 as blob)) = length(sha256)
        and (length(sha256) = 64
            or sha256 glob
                '??:??:??:??:??:??:??:??:??:??:??:??:??:??:??:??:'
                || '??:??:??:??:??:??:??:??:??:??:??:??:??:??:??:??')),
    constraint mapping_spki_sha256_hex check (
        length(replace(spki_sha256, ':', '')) = 64
        and replace(spki_sha256, ':', '') not glob '*[^0-9A-Fa-f]*'
        and length(cast(spki_sha256 as blob)) = length(spki_sha256)
        and (length(spki_sha256) = 64
            or spki_sha256 glob
                '??:??:??:??:??:??:??:??:??:??:??:??:??:??:??:??:'
                || '??:??:??:??:??:??:??:??:??:??:??:??:??:??:??:??')),
    constraint mapping_issuer_text check (
        length(cast(issuer as blob)) between 1 and 4096
        and instr(cast(issuer as blob), x'00') = 0
        and issuer not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint mapping_issuer_key_id_text check (
        length(cast(issuer_key_id as blob)) between 1 and 4096
        and instr(cast(issuer_key_id as blob), x'00') = 0
        and issuer_key_id not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint mapping_serial_spelling check (
        length(cast(serial as blob)) = length(serial)
        and case
            when serial glob '0[xX]*' then
                length(serial) between 3 and 66 and substr(serial, 3) not glob '*[^0-9A-Fa-f]*'
            when instr(serial, '-') > 0 then
                (length(serial) = 36 or serial glob '{*}')
                and trim(serial, '{}') glob '????????-????-????-????-????????????'
                and length(replace(serial, '-', '')) = length(serial) - 4
                and length(serial) in (36, 38)
                and trim(serial, '{}') not glob '*[^0-9A-Fa-f-]*'
            when instr(serial, ':') > 0 then
                serial not glob '*[^0-9A-Fa-f:]*' and serial glob '[^:][^:]:*'
                and length(replace(serial, ':', '')) = length(serial) - (length(serial) - 1) / 3
                and serial glob substr(
                    '??:??:??:??:??:??:??:??:??:??:??:??:??:??:??:??:??:??:??:??:??',
                    -length(serial))
            else length(serial) between 1 and 64 and serial not glob '*[^0-9A-Fa-f]*'
        end),
    constraint mapping_serial_octets check (
        length(ltrim(replace(replace(replace(replace(replace(
            lower(serial), 'x', ''), ':', ''), '-', ''), '{', ''), '}', ''), '0'))
            between 1 and 40),
    constraint mapping_subject_text check (
        length(cast(subject as blob)) between 1 and 4096
        and instr(cast(subject as blob), x'00') = 0
        and subject not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint mapping_san_email_text check (
        length(cast(san_email as blob)) between 1 and 4096
        and instr(cast(san_email as blob), x'00') = 0
        and san_email not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint mapping_san_upn_text check (
        length(cast(san_upn as blob)) between 1 and 4096
        and instr(cast(san_upn as blob), x'00') = 0
        and san_upn not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint mapping_san_uri_text check (
        length(cast(san_uri as blob)) between 1 and 4096
        and instr(cast(san_uri as blob), x'00') = 0
        and san_uri not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint mapping_san_dns_text check (
        length(cast(san_dns as blob)) between 1 and 4096
        and instr(cast(san_dns as blob), x'00') = 0
        and san_dns not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint mapping_common_name_text check (
        length(cast(common_name as blob)) between 1 and 4096
        and instr(cast(common_name as blob), x'00') = 0
        and common_name not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint mapping_enabled_boolean check (enabled in (0, 1)),
    constraint mapping_valid_from_time check (valid_from is null or coalesce(
        length(cast(valid_from as blob)) <= 35
        and length(cast(valid_from as blob)) = length(valid_from)
        and valid_from glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][T ]*'
        and substr(valid_from, 12, 8) glob '[0-2][0-9]:[0-5][0-9]:[0-5][0-9]'
        and substr(valid_from, 12, 2) <= '23'
        and substr(valid_from, 20) not glob '*[^0-9.:+Z-]*'
        and substr(valid_from, 20) not glob
            '.[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]*'
        and date(julianday(substr(valid_from, 1, 10))) = substr(valid_from, 1, 10)
        and julianday(valid_from) >= 2440587.5, 0)),
    constraint mapping_valid_until_time check (valid_until is null or coalesce(
        length(cast(valid_until as blob)) <= 35
        and length(cast(valid_until as blob)) = length(valid_until)
        and valid_until glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][T ]*'
        and substr(valid_until, 12, 8) glob '[0-2][0-9]:[0-5][0-9]:[0-5][0-9]'
        and substr(valid_until, 12, 2) <= '23'
        and substr(valid_until, 20) not glob '*[^0-9.:+Z-]*'
        and substr(valid_until, 20) not glob
            '.[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]*'
        and date(julianday(substr(valid_until, 1, 10))) = substr(valid_until, 1, 10)
        and julianday(valid_until) >= 2440587.5, 0)),
    constraint mapping_revoked_at_time check (revoked_at is null or coalesce(
        length(cast(revoked_at as blob)) <= 35
        and length(cast(revoked_at as blob)) = length(revoked_at)
        and revoked_at glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][T ]*'
        and substr(revoked_at, 12, 8) glob '[0-2][0-9]:[0-5][0-9]:[0-5][0-9]'
        and substr(revoked_at, 12, 2) <= '23'
        and substr(revoked_at, 20) not glob '*[^0-9.:+Z-]*'
        and substr(revoked_at, 20) not glob
            '.[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]*'
        and date(julianday(substr(revoked_at, 1, 10))) = substr(revoked_at, 1, 10)
        and julianday(revoked_at) >= 2440587.5, 0)),
    constraint mapping_revoked_reason_text check (
        length(cast(revoked_reason as blob)) between 1 and 4096
        and instr(cast(revoked_reason as blob), x'00') = 0
        and revoked_reason not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint mapping_note_text check (
        length(cast(note as blob)) between 1 and 4096
        and instr(cast(note as blob), x'00') = 0
        and note not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint mapping_created_by_text check (
        length(cast(created_by as blob)) between 1 and 4096
        and instr(cast(created_by as blob), x'00') = 0
        and created_by not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint mapping_created_at_time check (created_at is null or coalesce(
        length(cast(created_at as blob)) <= 35
        and length(cast(created_at as blob)) = length(created_at)
        and created_at glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][T ]*'
        and substr(created_at, 12, 8) glob '[0-2][0-9]:[0-5][0-9]:[0-5][0-9]'
        and substr(created_at, 12, 2) <= '23'
        and substr(created_at, 20) not glob '*[^0-9.:+Z-]*'
        and substr(created_at, 20) not glob
            '.[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]*'
        and date(julianday(substr(created_at, 1, 10))) = substr(created_at, 1, 10)
        and julianday(created_at) >= 2440587.5, 0)),
    constraint mapping_window_order check (julianday(valid_from) < julianday(valid_until)),
    constraint mapping_pattern_specific check (coalesce(
        sha256, spki_sha256, serial, subject, san_email, san_upn,
        san_uri, san_dns, common_name) is not null)
) strict;

-- certificates refused whatever they are mapped to; an issuer or a key id alone blocks a CA
create table block (
    -- names the row in answers and in the log; never used again
    id integer constraint block_pkey primary key autoincrement,
    -- SHA-256 over the certificate (DER): 64 hexadecimal digits, colons between pairs allowed
    sha256 text,
    -- SHA-256 over the public key (SubjectPublicKeyInfo): survives a renewal that keeps the key
    spki_sha256 text,
    -- distinguished name of the issuer: RFC 4514, OpenSSL text or the slash form
    issuer text,
    -- authority key identifier: which key of that issuer signed; hexadecimal
    issuer_key_id text,
    -- serial number, always hexadecimal (1001 too): CA92, ca:92, 0xCA92 or as a UUID
    serial text,
    -- distinguished name of the subject, as issuer
    subject text,
    -- one of the e-mail addresses in the subject alternative name
    san_email text,
    -- one of the Microsoft user principal names in the subject alternative name
    san_upn text,
    -- one of the URIs in the subject alternative name; compared exactly
    san_uri text,
    -- one of the DNS names in the subject alternative name; a wildcard never expands
    san_dns text,
    -- the common name of the subject, only if it has exactly one; compared exactly
    common_name text,
    -- off: as if the window were closed
    enabled integer not null default 1,
    -- the row counts from this instant on; null: since ever
    valid_from text,
    -- the row counts before this instant; null: without end
    valid_until text,
    -- why it is blocked
    reason text,
    -- what an operator wants to remember
    note text,
    -- who made the row, as claimed; SQLite knows no database user
    created_by text,
    -- when the row was made
    created_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    constraint block_sha256_hex check (
        length(replace(sha256, ':', '')) = 64
        and replace(sha256, ':', '') not glob '*[^0-9A-Fa-f]*'
        and length(cast(sha256 as blob)) = length(sha256)
        and (length(sha256) = 64
            or sha256 glob
                '??:??:??:??:??:??:??:??:??:??:??:??:??:??:??:??:'
                || '??:??:??:??:??:??:??:??:??:??:??:??:??:??:??:??')),
    constraint block_spki_sha256_hex check (
        length(replace(spki_sha256, ':', '')) = 64
        and replace(spki_sha256, ':', '') not glob '*[^0-9A-Fa-f]*'
        and length(cast(spki_sha256 as blob)) = length(spki_sha256)
        and (length(spki_sha256) = 64
            or spki_sha256 glob
                '??:??:??:??:??:??:??:??:??:??:??:??:??:??:??:??:'
                || '??:??:??:??:??:??:??:??:??:??:??:??:??:??:??:??')),
    constraint block_issuer_text check (
        length(cast(issuer as blob)) between 1 and 4096
        and instr(cast(issuer as blob), x'00') = 0
        and issuer not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint block_issuer_key_id_text check (
        length(cast(issuer_key_id as blob)) between 1 and 4096
        and instr(cast(issuer_key_id as blob), x'00') = 0
        and issuer_key_id not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint block_serial_spelling check (
        length(cast(serial as blob)) = length(serial)
        and case
            when serial glob '0[xX]*' then
                length(serial) between 3 and 66 and substr(serial, 3) not glob '*[^0-9A-Fa-f]*'
            when instr(serial, '-') > 0 then
                (length(serial) = 36 or serial glob '{*}')
                and trim(serial, '{}') glob '????????-????-????-????-????????????'
                and length(replace(serial, '-', '')) = length(serial) - 4
                and length(serial) in (36, 38)
                and trim(serial, '{}') not glob '*[^0-9A-Fa-f-]*'
            when instr(serial, ':') > 0 then
                serial not glob '*[^0-9A-Fa-f:]*' and serial glob '[^:][^:]:*'
                and length(replace(serial, ':', '')) = length(serial) - (length(serial) - 1) / 3
                and serial glob substr(
                    '??:??:??:??:??:??:??:??:??:??:??:??:??:??:??:??:??:??:??:??:??',
                    -length(serial))
            else length(serial) between 1 and 64 and serial not glob '*[^0-9A-Fa-f]*'
        end),
    constraint block_serial_octets check (
        length(ltrim(replace(replace(replace(replace(replace(
            lower(serial), 'x', ''), ':', ''), '-', ''), '{', ''), '}', ''), '0'))
            between 1 and 40),
    constraint block_subject_text check (
        length(cast(subject as blob)) between 1 and 4096
        and instr(cast(subject as blob), x'00') = 0
        and subject not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint block_san_email_text check (
        length(cast(san_email as blob)) between 1 and 4096
        and instr(cast(san_email as blob), x'00') = 0
        and san_email not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint block_san_upn_text check (
        length(cast(san_upn as blob)) between 1 and 4096
        and instr(cast(san_upn as blob), x'00') = 0
        and san_upn not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint block_san_uri_text check (
        length(cast(san_uri as blob)) between 1 and 4096
        and instr(cast(san_uri as blob), x'00') = 0
        and san_uri not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint block_san_dns_text check (
        length(cast(san_dns as blob)) between 1 and 4096
        and instr(cast(san_dns as blob), x'00') = 0
        and san_dns not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint block_common_name_text check (
        length(cast(common_name as blob)) between 1 and 4096
        and instr(cast(common_name as blob), x'00') = 0
        and common_name not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint block_enabled_boolean check (enabled in (0, 1)),
    constraint block_valid_from_time check (valid_from is null or coalesce(
        length(cast(valid_from as blob)) <= 35
        and length(cast(valid_from as blob)) = length(valid_from)
        and valid_from glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][T ]*'
        and substr(valid_from, 12, 8) glob '[0-2][0-9]:[0-5][0-9]:[0-5][0-9]'
        and substr(valid_from, 12, 2) <= '23'
        and substr(valid_from, 20) not glob '*[^0-9.:+Z-]*'
        and substr(valid_from, 20) not glob
            '.[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]*'
        and date(julianday(substr(valid_from, 1, 10))) = substr(valid_from, 1, 10)
        and julianday(valid_from) >= 2440587.5, 0)),
    constraint block_valid_until_time check (valid_until is null or coalesce(
        length(cast(valid_until as blob)) <= 35
        and length(cast(valid_until as blob)) = length(valid_until)
        and valid_until glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][T ]*'
        and substr(valid_until, 12, 8) glob '[0-2][0-9]:[0-5][0-9]:[0-5][0-9]'
        and substr(valid_until, 12, 2) <= '23'
        and substr(valid_until, 20) not glob '*[^0-9.:+Z-]*'
        and substr(valid_until, 20) not glob
            '.[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]*'
        and date(julianday(substr(valid_until, 1, 10))) = substr(valid_until, 1, 10)
        and julianday(valid_until) >= 2440587.5, 0)),
    constraint block_reason_text check (
        length(cast(reason as blob)) between 1 and 4096
        and instr(cast(reason as blob), x'00') = 0
        and reason not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint block_note_text check (
        length(cast(note as blob)) between 1 and 4096
        and instr(cast(note as blob), x'00') = 0
        and note not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint block_created_by_text check (
        length(cast(created_by as blob)) between 1 and 4096
        and instr(cast(created_by as blob), x'00') = 0
        and created_by not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint block_created_at_time check (created_at is null or coalesce(
        length(cast(created_at as blob)) <= 35
        and length(cast(created_at as blob)) = length(created_at)
        and created_at glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][T ]*'
        and substr(created_at, 12, 8) glob '[0-2][0-9]:[0-5][0-9]:[0-5][0-9]'
        and substr(created_at, 12, 2) <= '23'
        and substr(created_at, 20) not glob '*[^0-9.:+Z-]*'
        and substr(created_at, 20) not glob
            '.[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]*'
        and date(julianday(substr(created_at, 1, 10))) = substr(created_at, 1, 10)
        and julianday(created_at) >= 2440587.5, 0)),
    constraint block_window_order check (julianday(valid_from) < julianday(valid_until)),
    constraint block_pattern_present check (coalesce(
        sha256, spki_sha256, issuer, issuer_key_id, serial, subject,
        san_email, san_upn, san_uri, san_dns, common_name) is not null)
) strict;
-- For the cascade from app_user.
create index mapping_username on mapping (username);

-- A user of the same name in another case, or a rename onto another user: with `or replace` that
-- user would vanish without a delete trigger, and its mappings would pass to the other one.
create trigger app_user_username_without_case_insert before insert on app_user
when exists (
    select 1 from app_user
    where username = new.username and username <> new.username collate binary
)
begin
    select raise(abort, 'app_user_username_without_case: this user exists in another case');
end;
create trigger app_user_username_without_case_update before update on app_user
when new.username <> old.username collate binary and exists (
    select 1 from app_user
    where username = new.username and username <> old.username collate binary
)
begin
    select raise(abort, 'app_user_username_without_case: a user of this name exists');
end;

-- The user goes, its mappings and memberships go; the user is renamed, they follow.
create trigger app_user_gone after delete on app_user
begin
    delete from mapping where username = old.username collate binary;
    delete from user_group where username = old.username collate binary;
end;
create trigger app_user_renamed after update on app_user
when new.username <> old.username collate binary
begin
    update mapping set username = new.username where username = old.username collate binary;
    update user_group set username = new.username where username = old.username collate binary;
end;

-- The user must exist, byte for byte.
create trigger mapping_username_known_insert before insert on mapping
when not exists (
    select 1 from app_user
    where username = new.username and username = new.username collate binary
)
begin
    select raise(abort, 'mapping_username_known: no such user');
end;
create trigger mapping_username_known_update before update on mapping
when not exists (
    select 1 from app_user
    where username = new.username and username = new.username collate binary
)
begin
    select raise(abort, 'mapping_username_known: no such user');
end;
create trigger user_group_username_known_insert before insert on user_group
when not exists (
    select 1 from app_user
    where username = new.username and username = new.username collate binary
)
begin
    select raise(abort, 'user_group_username_known: no such user');
end;
create trigger user_group_username_known_update before update on user_group
when not exists (
    select 1 from app_user
    where username = new.username and username = new.username collate binary
)
begin
    select raise(abort, 'user_group_username_known: no such user');
end;

-- An id never changes: `update or replace` could otherwise take the place of another row. No
-- column list: `update mapping set rowid = ..` is the same thing by another name.
create trigger mapping_id_fixed before update on mapping
when new.id is not old.id
begin
    select raise(abort, 'mapping_id_fixed: an id does not change');
end;
create trigger block_id_fixed before update on block
when new.id is not old.id
begin
    select raise(abort, 'block_id_fixed: an id does not change');
end;

-- User and groups travel in one answer header: together at most 8 KiB, separators counted.
create trigger user_group_header_size_insert after insert on user_group
when 8192 < (
    select length(new.username) + sum(length(group_name) + 1) - 1
    from user_group where username = new.username
)
begin
    select raise(abort, 'user_group_header_size: user and groups exceed 8192 bytes');
end;
create trigger user_group_header_size_update after update on user_group
when 8192 < (
    select length(new.username) + sum(length(group_name) + 1) - 1
    from user_group where username = new.username
)
begin
    select raise(abort, 'user_group_header_size: user and groups exceed 8192 bytes');
end;
