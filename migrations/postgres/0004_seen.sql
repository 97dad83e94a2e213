-- What was seen: certificates and denials, as the running services report them.
--
-- Nothing here decides anything, nothing of it is fed to followers, and all of it is bounded. A
-- service writes by the functions below alone: deploy/roles.sql gives it them and no table.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

create table certificate (
    sha256 text collate "C" not null,
    der bytea not null,
    subject text collate "C",
    issuer text collate "C",
    serial text collate "C",
    spki_sha256 text collate "C" not null,
    names json,
    not_before timestamptz not null,
    not_after timestamptz not null,
    origin text collate "C" not null default 'given',
    state text collate "C" not null default 'new',
    first_seen timestamptz,
    last_seen timestamptz,
    hits bigint not null default 0,
    last_code text collate "C",
    last_username text collate "C",
    constraint certificate_pkey primary key (sha256),
    constraint certificate_sha256_digits check (sha256 ~ '^[0-9a-f]{64}$'),
    constraint certificate_der_octets check (octet_length(der) between 1 and 32768),
    constraint certificate_subject_text check (
        octet_length(subject) between 1 and 4096
        and subject !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint certificate_issuer_text check (
        octet_length(issuer) between 1 and 4096
        and issuer !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint certificate_serial_text check (
        octet_length(serial) between 1 and 4096
        and serial !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint certificate_spki_sha256_digits check (spki_sha256 ~ '^[0-9a-f]{64}$'),
    constraint certificate_names_object check (json_typeof(names) = 'object'),
    constraint certificate_names_size check (octet_length(names::text) <= 16384),
    constraint certificate_not_before_time check (
        not_before >= '1970-01-01 00:00:00+00' and not_before < '10000-01-01 00:00:00+00'),
    constraint certificate_not_after_time check (
        not_after >= '1970-01-01 00:00:00+00' and not_after < '10000-01-01 00:00:00+00'),
    constraint certificate_origin_known check (origin in ('given', 'seen')),
    constraint certificate_state_known check (state in ('new', 'ignored')),
    constraint certificate_first_seen_time check (
        first_seen >= '1970-01-01 00:00:00+00' and first_seen < '10000-01-01 00:00:00+00'),
    constraint certificate_last_seen_time check (
        last_seen >= '1970-01-01 00:00:00+00' and last_seen < '10000-01-01 00:00:00+00'),
    constraint certificate_hits_count check (hits >= 0),
    constraint certificate_last_code_code check (last_code ~ '^[a-z_]{1,64}$'),
    constraint certificate_last_username_name check (
        octet_length(last_username) between 1 and 256
        and last_username ~ '^[!-~]+$' and strpos(last_username, ',') = 0)
);
comment on table certificate is
    'facts about each certificate given or seen, verified ones only; decides nothing, is not fed';
comment on column certificate.sha256 is
    'SHA-256 over the certificate (DER): 64 hexadecimal digits in lower case';
comment on column certificate.der is
    'the certificate itself; whoever shows anything of it should read it from here';
comment on column certificate.subject is
    'distinguished name of the subject as nginx prints it; null: empty, or too long for a text';
comment on column certificate.issuer is
    'distinguished name of the issuer as nginx prints it; null: too long for a text';
comment on column certificate.serial is
    'serial number as nginx prints it; null: too long for a text';
comment on column certificate.spki_sha256 is
    'SHA-256 over the public key (SubjectPublicKeyInfo): equal for a renewal that keeps the key';
comment on column certificate.names is
    'alternative names: {"email": [], "upn": [], "uri": [], "dns": []}; null: too many';
comment on column certificate.not_before is
    'when its validity begins; 1970 for anything earlier';
comment on column certificate.not_after is
    'when its validity ends';
comment on column certificate.origin is
    'given: by an operator; seen: with a request, and taken away again if too many come';
comment on column certificate.state is
    'new, or ignored: an operator does not want to be told of it again';
comment on column certificate.first_seen is
    'when it first came with a request; null: never';
comment on column certificate.last_seen is
    'when it last came, to the minute or so; null: never';
comment on column certificate.hits is
    'about how many requests came with it';
comment on column certificate.last_code is
    'the code of the last decision about it, such as mapped or unmapped';
comment on column certificate.last_username is
    'whom it last let in; null: it never let anybody in';
create index certificate_last_seen on certificate (last_seen) where origin = 'seen';
create index certificate_stranger on certificate (last_seen)
    where origin = 'seen' and state = 'new' and last_username is null;
comment on index certificate_last_seen is 'what has not come for longest goes first';
comment on index certificate_stranger is 'those who never came in: a bound of their own';

create view inbox as
    select sha256, subject, issuer, serial, spki_sha256, names, not_before, not_after,
        first_seen, last_seen, hits
    from certificate
    where origin = 'seen' and state = 'new' and last_code = 'unmapped'
        and not exists (
            select from mapping
            where lower(replace(mapping.sha256, ':', '')) = certificate.sha256);
comment on view inbox is
    'verified certificates of nobody: the last decision about them was unmapped';

create table denial (
    id bigint generated always as identity,
    at timestamptz not null,
    host text collate "C",
    request_id text collate "C",
    code text collate "C" not null,
    certificate text collate "C",
    peer text collate "C",
    constraint denial_pkey primary key (id),
    constraint denial_at_time check (
        at >= '1970-01-01 00:00:00+00' and at < '10000-01-01 00:00:00+00'),
    constraint denial_host_text check (
        octet_length(host) between 1 and 4096 and host !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint denial_request_id_text check (
        octet_length(request_id) between 1 and 4096
        and request_id !~ '[\u0001-\u001f\u007f-\u009f]'),
    constraint denial_code_code check (code ~ '^[a-z_]{1,64}$'),
    constraint denial_certificate_digits check (certificate ~ '^[0-9a-f]{64}$'),
    constraint denial_peer_text check (
        octet_length(peer) between 1 and 4096 and peer !~ '[\u0001-\u001f\u007f-\u009f]')
);
comment on table denial is
    'requests that were denied, sampled under a flood: the last 10,000, for 7 days';
comment on column denial.id is 'the order in which they were reported';
comment on column denial.at is 'when it was denied';
comment on column denial.host is 'the host that the client asked for, as the proxy says';
comment on column denial.request_id is 'the proxy''s number of the request';
comment on column denial.code is 'why: a code of the contract, such as unmapped';
comment on column denial.certificate is
    'sha256 of the certificate, if one was verified; its row may be gone';
comment on column denial.peer is
    'the client''s address as the proxy says, or that of the proxy itself';
create index denial_at on denial (at);
create index denial_without_certificate on denial (id) where certificate is null;
comment on index denial_at is 'people ask for the last hour; what is too old goes';
comment on index denial_without_certificate is
    'those have a bound of their own: who has no certificate does not push out who has';

-- Whom a rule brought and nobody has enabled yet; there are few.
create index app_user_waiting on app_user (username) where origin = 'rule' and not enabled;
comment on index app_user_waiting is 'counted before another is added';

-- Names of functions and types are exact: a role that may create in this schema could otherwise
-- offer a better match, and have it run with the rights of the owner.
create function certgate_check_report(report jsonb) returns void
language plpgsql strict set search_path from current as $$
begin
    if pg_column_size(report) > 8388608 then
        raise exception 'a report has at most 8 MiB' using errcode = 'program_limit_exceeded';
    end if;
    if jsonb_typeof(report) <> 'array' then
        raise exception 'a report is an array' using errcode = 'invalid_parameter_value';
    end if;
    if jsonb_array_length(report) > 1000 then
        raise exception 'a report has at most 1000 rows' using errcode = 'program_limit_exceeded';
    end if;
end
$$;

create function certgate_ago(seconds double precision) returns timestamptz
language sql volatile set search_path from current as $$
    select clock_timestamp() - make_interval(secs =>
        least(greatest(coalesce(seconds, 0::double precision), 0::double precision),
            3600::double precision))
$$;

-- Certificates that came with requests and were verified; how many rows were taken. A fingerprint
-- that is not that of its certificate is passed over. What an operator has given or ignored stays
-- so. Of those that never let anybody in, the last 10,000 are kept; of all, the last 200,000.
create function certgate_report_seen(report jsonb) returns integer
language plpgsql strict security definer set search_path from current as $$
declare
    taken integer;
    added integer;
    surplus_to timestamptz;
begin
    perform certgate_check_report(report);
    with reported as materialized (
        select distinct on (seen.sha256) seen.sha256, decode(seen.der, 'base64'::text) as octets,
            seen.subject, seen.issuer, seen.serial, seen.spki_sha256, seen.names,
            seen.not_before, seen.not_after, certgate_ago(seen.age) as at,
            least(greatest(seen.hits, 1::bigint), 1000000000::bigint) as hits,
            seen.code, seen.username
        from jsonb_to_recordset(report) as seen (
            sha256 text, der text, subject text, issuer text, serial text, spki_sha256 text,
            names json, not_before bigint, not_after bigint, age double precision, hits bigint,
            code text, username text)
        order by seen.sha256
    ), kept as (
        insert into certificate as known (sha256, der, subject, issuer, serial, spki_sha256, names,
            not_before, not_after, origin, first_seen, last_seen, hits, last_code, last_username)
        select reported.sha256, octets, subject, issuer, serial, spki_sha256, names,
            to_timestamp(not_before::double precision), to_timestamp(not_after::double precision),
            'seen'::text, at, at, hits, code, username
        from reported
        where encode(sha256(octets), 'hex'::text) = reported.sha256
        order by reported.sha256
        on conflict (sha256) do update set
            first_seen = coalesce(known.first_seen, excluded.first_seen),
            last_seen = greatest(known.last_seen, excluded.last_seen),
            hits = least(known.hits, 1000000000000000000::bigint) + excluded.hits,
            last_code = excluded.last_code,
            last_username = coalesce(excluded.last_username, known.last_username)
        returning known.xmax = '0'::xid as is_new
    )
    select count(*), count(*) filter (where is_new) into taken, added from kept;
    if added = 0 then
        return taken;
    end if;
    select last_seen into surplus_to from certificate
    where origin = 'seen' and state = 'new' and last_username is null
    order by last_seen desc offset 10000 limit 1;
    if found then
        delete from certificate where sha256 in (
            select sha256 from certificate
            where origin = 'seen' and state = 'new' and last_username is null
                and last_seen <= surplus_to
            order by last_seen limit 5000 for update skip locked);
    end if;
    select last_seen into surplus_to from certificate
    where origin = 'seen'
    order by last_seen desc offset 200000 limit 1;
    if found then
        delete from certificate where sha256 in (
            select sha256 from certificate
            where origin = 'seen' and last_seen <= surplus_to
            order by last_seen limit 5000 for update skip locked);
    end if;
    return taken;
end
$$;
comment on function certgate_report_seen(jsonb) is
    'for services: verified certificates that came with requests; how many rows were taken';

-- Requests that were denied; how many rows were taken. Kept are the last 10,000, of those without a
-- certificate the last 2,500, for 7 days. One call removes a bounded number.
create function certgate_report_denied(report jsonb) returns integer
language plpgsql strict security definer set search_path from current as $$
declare
    taken integer;
    surplus_to bigint;
begin
    perform certgate_check_report(report);
    insert into denial (at, host, request_id, code, certificate, peer)
    select certgate_ago(denied.age), denied.host, denied.request_id, denied.code,
        denied.certificate, denied.peer
    from jsonb_to_recordset(report) as denied (
        age double precision, host text, request_id text, code text, certificate text, peer text)
    order by denied.age desc;
    get diagnostics taken = row_count;
    select id into surplus_to from denial order by id desc offset 10000 limit 1;
    if found then
        delete from denial where id in (
            select id from denial where id <= surplus_to
            order by id limit 5000 for update skip locked);
    end if;
    select id into surplus_to from denial where certificate is null
    order by id desc offset 2500 limit 1;
    if found then
        delete from denial where id in (
            select id from denial where certificate is null and id <= surplus_to
            order by id limit 5000 for update skip locked);
    end if;
    delete from denial where id in (
        select id from denial where at < clock_timestamp() - interval '7 days'
        order by at limit 5000 for update skip locked);
    return taken;
end
$$;
comment on function certgate_report_denied(jsonb) is
    'for services: requests that were denied; how many rows were taken';

-- Adds whom a rule brings, disabled, with the rule's groups; whether it did. Not without such a
-- rule in force, not if a user of the name exists in any case, not if 10,000 wait to be enabled.
create function certgate_provision(
    rule_priority integer, new_username text, new_display_name text, new_email text
) returns boolean
language plpgsql security definer set search_path from current as $$
declare
    group_names text;
begin
    select rule.group_names into group_names from rule
    where rule.priority = rule_priority and rule.users = 'provision' and rule.enabled
        and (rule.valid_from is null or rule.valid_from <= clock_timestamp())
        and (rule.valid_until is null or rule.valid_until > clock_timestamp());
    if not found then
        return false;
    end if;
    insert into app_user (username, display_name, email, origin, enabled, created_by)
    select new_username, new_display_name, new_email, 'rule'::text, false,
        'rule '::text || rule_priority::text
    where 10000 > (select count(*) from app_user where origin = 'rule' and not enabled)
    on conflict do nothing;
    if not found then
        return false;
    end if;
    insert into user_group (username, group_name)
    select distinct new_username, btrim(part.name, ' '::text)
    from unnest(string_to_array(group_names, ','::text)) as part (name);
    return true;
end
$$;
comment on function certgate_provision(integer, text, text, text) is
    'for services: adds the user whom a provisioning rule brings, disabled; whether it did';
comment on function certgate_check_report(jsonb) is 'refuses a report that is too large';
comment on function certgate_ago(double precision) is 'that long before now, at most an hour';
-- deploy/roles.sql gives them to the services.
revoke all on function certgate_check_report(jsonb), certgate_ago(double precision),
    certgate_report_seen(jsonb), certgate_report_denied(jsonb),
    certgate_provision(integer, text, text, text)
    from public;
