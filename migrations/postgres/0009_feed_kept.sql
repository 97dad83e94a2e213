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

-- As before, save that it says so to the guard, for as long as it removes. Not as a setting of the
-- function: that only a superuser may make.
create or replace function certgate_tend() returns void
language plpgsql security definer set search_path from current as $$
declare
    settled constant xid8 := pg_snapshot_xmin(pg_current_snapshot());
    surplus_to xid8;
    last_gone xid8;
begin
    if not pg_try_advisory_xact_lock(
        hashtext('certgate_tend'::text), hashtext(current_schema()::text)) then
        return;
    end if;
    update feed set beat_at = clock_timestamp()
    where beat_at < clock_timestamp() - interval '2 seconds'
        or beat_at > clock_timestamp() + interval '2 seconds';
    if not found then
        return;
    end if;
    select change.xid into surplus_to
    from change order by change.xid desc offset 100000 limit 1;
    perform set_config('certgate.tending', 'on', true);
    with oldest as materialized (
        select change.ctid as place, change.xid, change.at
        from change order by change.xid limit 50000
    ), gone as (
        delete from change using oldest
        where change.ctid = oldest.place
            and (oldest.xid <= surplus_to
                or (oldest.xid < settled
                    and oldest.at < clock_timestamp() - interval '10 minutes'))
        returning change.xid
    )
    select gone.xid into last_gone from gone order by gone.xid desc limit 1;
    perform set_config('certgate.tending', '', true);
    if last_gone is not null then
        update feed
        set trimmed_to = (greatest(trimmed_to, last_gone)::text::numeric + 1::numeric)::text::xid8;
    end if;
end
$$;

-- An index over an expression, as the last step made, is of use only once it is known how often its
-- values come.
analyze mapping;
analyze user_group;
