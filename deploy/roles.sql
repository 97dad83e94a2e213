-- The roles for certgate on PostgreSQL, each with no more than it needs. Run it as the owner of the
-- tables, who may also make roles, after each `certgate migrate`; running it again changes nothing.
--
--   psql -d certgate -f deploy/roles.sql
--   psql -d certgate -v api=certgate_api -f deploy/roles.sql
--   psql -d certgate -v service=gate_eu -v editor=helpdesk -v auditor=audit -v schema=public -f deploy/roles.sql
--
-- service   what `certgate serve` connects as: reads the directory, and reports what it saw through
--           functions that can do nothing else. It writes to no table.
-- editor    people who manage users and certificates, by SQL or the command line; not the schema, and
--           of the audit, which the database writes, they can only read.
-- auditor   reads everything and changes nothing.
-- api       only if it is named: what `certgate serve` connects as where the admin API is on. It is a
--           member of the service and of the editor and has no more than these two together.
--
-- A role that does not exist is made, able to log in and without a password: give it one with
-- \password, or let it in by its operating system's user (peer) or its certificate.

\set ON_ERROR_STOP on
\if :{?service} \else \set service certgate_service \endif
\if :{?editor} \else \set editor certgate_editor \endif
\if :{?auditor} \else \set auditor certgate_auditor \endif
\if :{?schema} \else \set schema public \endif
set client_min_messages = warning;

begin;
select format('create role %I login', wanted.name)
from (values (:'service'), (:'editor'), (:'auditor')) as wanted (name)
where not exists (select from pg_roles where rolname = wanted.name)
\gexec

select set_config('search_path', format('%I, pg_temp', :'schema'), true) \g /dev/null
select format('grant connect on database %I to %I, %I, %I',
    current_database(), :'service', :'editor', :'auditor')
\gexec
grant usage on schema :"schema" to :"service", :"editor", :"auditor";

-- What an earlier run or somebody else gave them.
revoke all on certgate_schema, feed, change, app_user, user_group, mapping, block, rule, certificate,
    denial, inbox, audit
    from :"service", :"editor", :"auditor";
revoke all on function certgate_tend(), certgate_report_seen(jsonb), certgate_report_denied(jsonb),
    certgate_provision(integer, text, text, text), certgate_audit_prune(timestamptz)
    from :"service", :"editor", :"auditor";

grant select on certgate_schema, feed, change, app_user, user_group, mapping, block, rule
    to :"service", :"editor", :"auditor";
grant execute on function certgate_tend(), certgate_report_seen(jsonb),
    certgate_report_denied(jsonb), certgate_provision(integer, text, text, text)
    to :"service";
grant insert, update, delete on app_user, user_group, mapping, block, rule to :"editor";
-- The inbox is worked off by ignoring rows; certificates that people hand in are given.
grant select, insert, update, delete on certificate to :"editor";
grant select on denial, inbox, audit to :"editor";
grant select on certificate, denial, inbox, audit to :"auditor";
\if :{?api}
select format('create role %I login', :'api')
where not exists (select from pg_roles where rolname = :'api')
\gexec
grant :"service", :"editor" to :"api";
\endif
commit;
