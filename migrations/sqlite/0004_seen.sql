-- What was seen: certificates and denials, as the running service reports them.
--
-- Nothing here decides anything, nothing of it is fed to followers, and all of it is bounded: the
-- service takes away what is too much with each batch that it writes.
-- A check that is null passes: those that can be null for bad input end in coalesce(.., 0).

-- facts about each certificate given or seen, verified ones only; decides nothing, is not fed
create table certificate (
    -- SHA-256 over the certificate (DER): 64 hexadecimal digits in lower case
    sha256 text not null,
    -- the certificate itself; whoever shows anything of it should read it from here
    der blob not null,
    -- distinguished name of the subject as nginx prints it; null: empty, or too long for a text
    subject text,
    -- distinguished name of the issuer as nginx prints it; null: too long for a text
    issuer text,
    -- serial number as nginx prints it; null: too long for a text
    serial text,
    -- SHA-256 over the public key (SubjectPublicKeyInfo): equal for a renewal that keeps the key
    spki_sha256 text not null,
    -- alternative names: {"email": [], "upn": [], "uri": [], "dns": []}; null: too many
    names text,
    -- when its validity begins; 1970 for anything earlier
    not_before text not null,
    -- when its validity ends
    not_after text not null,
    -- given: by an operator; seen: with a request, and taken away again if too many come
    origin text not null default 'given',
    -- new, or ignored: an operator does not want to be told of it again
    state text not null default 'new',
    -- when it first came with a request; null: never
    first_seen text,
    -- when it last came, to the minute or so; null: never
    last_seen text,
    -- about how many requests came with it
    hits integer not null default 0,
    -- the code of the last decision about it, such as mapped or unmapped
    last_code text,
    -- whom it last let in; null: it never let anybody in
    last_username text,
    constraint certificate_pkey primary key (sha256),
    constraint certificate_sha256_digits check (
        length(cast(sha256 as blob)) = 64 and sha256 not glob '*[^0-9a-f]*'),
    constraint certificate_der_octets check (length(der) between 1 and 32768),
    constraint certificate_subject_text check (
        length(cast(subject as blob)) between 1 and 4096
        and instr(cast(subject as blob), x'00') = 0
        and subject not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint certificate_issuer_text check (
        length(cast(issuer as blob)) between 1 and 4096
        and instr(cast(issuer as blob), x'00') = 0
        and issuer not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint certificate_serial_text check (
        length(cast(serial as blob)) between 1 and 4096
        and instr(cast(serial as blob), x'00') = 0
        and serial not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint certificate_spki_sha256_digits check (
        length(cast(spki_sha256 as blob)) = 64 and spki_sha256 not glob '*[^0-9a-f]*'),
    constraint certificate_names_object check (names is null or coalesce(
        case when json_valid(names) and instr(cast(names as blob), x'00') = 0
            then json_type(names) = 'object' else 0 end, 0)),
    constraint certificate_names_size check (length(cast(names as blob)) <= 16384),
    constraint certificate_not_before_time check (not_before is null or coalesce(
        length(cast(not_before as blob)) <= 35
        and length(cast(not_before as blob)) = length(not_before)
        and not_before glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][T ]*'
        and substr(not_before, 12, 8) glob '[0-2][0-9]:[0-5][0-9]:[0-5][0-9]'
        and substr(not_before, 12, 2) <= '23'
        and substr(not_before, 20) not glob '*[^0-9.:+Z-]*'
        and date(julianday(substr(not_before, 1, 10))) = substr(not_before, 1, 10)
        and julianday(not_before) >= 2440587.5, 0)),
    constraint certificate_not_after_time check (not_after is null or coalesce(
        length(cast(not_after as blob)) <= 35
        and length(cast(not_after as blob)) = length(not_after)
        and not_after glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][T ]*'
        and substr(not_after, 12, 8) glob '[0-2][0-9]:[0-5][0-9]:[0-5][0-9]'
        and substr(not_after, 12, 2) <= '23'
        and substr(not_after, 20) not glob '*[^0-9.:+Z-]*'
        and date(julianday(substr(not_after, 1, 10))) = substr(not_after, 1, 10)
        and julianday(not_after) >= 2440587.5, 0)),
    constraint certificate_origin_known check (origin in ('given', 'seen')),
    constraint certificate_state_known check (state in ('new', 'ignored')),
    constraint certificate_first_seen_time check (first_seen is null or coalesce(
        length(cast(first_seen as blob)) <= 35
        and length(cast(first_seen as blob)) = length(first_seen)
        and first_seen glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][T ]*'
        and substr(first_seen, 12, 8) glob '[0-2][0-9]:[0-5][0-9]:[0-5][0-9]'
        and substr(first_seen, 12, 2) <= '23'
        and substr(first_seen, 20) not glob '*[^0-9.:+Z-]*'
        and date(julianday(substr(first_seen, 1, 10))) = substr(first_seen, 1, 10)
        and julianday(first_seen) >= 2440587.5, 0)),
    constraint certificate_last_seen_time check (last_seen is null or coalesce(
        length(cast(last_seen as blob)) <= 35
        and length(cast(last_seen as blob)) = length(last_seen)
        and last_seen glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][T ]*'
        and substr(last_seen, 12, 8) glob '[0-2][0-9]:[0-5][0-9]:[0-5][0-9]'
        and substr(last_seen, 12, 2) <= '23'
        and substr(last_seen, 20) not glob '*[^0-9.:+Z-]*'
        and date(julianday(substr(last_seen, 1, 10))) = substr(last_seen, 1, 10)
        and julianday(last_seen) >= 2440587.5, 0)),
    constraint certificate_hits_count check (hits >= 0),
    constraint certificate_last_code_code check (
        length(cast(last_code as blob)) between 1 and 64 and last_code not glob '*[^a-z_]*'),
    constraint certificate_last_username_name check (
        length(cast(last_username as blob)) between 1 and 256
        and length(cast(last_username as blob)) = length(last_username)
        and last_username not glob '*[^!-~]*' and instr(last_username, ',') = 0)
) strict;
-- What has not come for longest goes first; those who never came in have a bound of their own.
create index certificate_last_seen on certificate (last_seen) where origin = 'seen';
create index certificate_stranger on certificate (last_seen)
    where origin = 'seen' and state = 'new' and last_username is null;

-- verified certificates of nobody: the last decision about them was unmapped
create view inbox as
    select sha256, subject, issuer, serial, spki_sha256, names, not_before, not_after,
        first_seen, last_seen, hits
    from certificate
    where origin = 'seen' and state = 'new' and last_code = 'unmapped'
        and sha256 not in (
            select lower(replace(mapping.sha256, ':', '')) from mapping
            where mapping.sha256 is not null);

-- requests that were denied, sampled under a flood: the last 10,000, for 7 days
create table denial (
    -- the order in which they were reported
    id integer constraint denial_pkey primary key autoincrement,
    -- when it was denied
    at text not null,
    -- the host that the client asked for, as the proxy says
    host text,
    -- the proxy's number of the request
    request_id text,
    -- why: a code of the contract, such as unmapped
    code text not null,
    -- sha256 of the certificate, if one was verified; its row may be gone
    certificate text,
    -- the client's address as the proxy says, or that of the proxy itself
    peer text,
    constraint denial_at_time check (at is null or coalesce(
        length(cast(at as blob)) <= 35
        and length(cast(at as blob)) = length(at)
        and at glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][T ]*'
        and substr(at, 12, 8) glob '[0-2][0-9]:[0-5][0-9]:[0-5][0-9]'
        and substr(at, 12, 2) <= '23'
        and substr(at, 20) not glob '*[^0-9.:+Z-]*'
        and date(julianday(substr(at, 1, 10))) = substr(at, 1, 10)
        and julianday(at) >= 2440587.5, 0)),
    constraint denial_host_text check (
        length(cast(host as blob)) between 1 and 4096
        and instr(cast(host as blob), x'00') = 0
        and host not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint denial_request_id_text check (
        length(cast(request_id as blob)) between 1 and 4096
        and instr(cast(request_id as blob), x'00') = 0
        and request_id not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    constraint denial_code_code check (
        length(cast(code as blob)) between 1 and 64 and code not glob '*[^a-z_]*'),
    constraint denial_certificate_digits check (
        length(cast(certificate as blob)) = 64 and certificate not glob '*[^0-9a-f]*'),
    constraint denial_peer_text check (
        length(cast(peer as blob)) between 1 and 4096
        and instr(cast(peer as blob), x'00') = 0
        and peer not glob
            '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*')
) strict;
-- People ask for the last hour; what is too old goes.
create index denial_at on denial (at);
-- Those have a bound of their own: who has no certificate does not push out who has.
create index denial_without_certificate on denial (id) where certificate is null;

-- Whom a rule brought and nobody has enabled yet; there are few.
create index app_user_waiting on app_user (username) where origin = 'rule' and not enabled;
