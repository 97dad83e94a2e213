-- The feed is written by triggers and trimmed by certgate_tend(), and by nobody else: followers count
-- the changes they have seen, and one that is taken out by hand could stand for one that they have not.
-- The guard takes no lock, so that it holds up neither writers nor the heartbeat.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

create function certgate_change_kept() returns trigger
language plpgsql set search_path from current as $$
begin
    raise exception 'followers count on the rows of the change feed: % is refused', lower(tg_op)
        using errcode = 'insufficient_privilege', schema = tg_table_schema,
            table = tg_table_name, constraint = 'change_kept',
            hint = 'Old rows go by themselves: certgate_tend() removes them, and serve calls it.';
end
$$;
comment on function certgate_change_kept() is 'trigger: refuses what takes changes out of the feed';
revoke all on function certgate_change_kept() from public;

create trigger change_kept before delete or update or truncate on change
for each statement when (current_setting('certgate.tending', true) is distinct from 'on')
execute function certgate_change_kept();
alter table change enable always trigger change_kept;

alter function certgate_tend() set certgate.tending = 'on';
