-- Whatever takes rows out of the feed trims it, certgate_tend() or a person with DELETE or TRUNCATE:
-- followers that had not seen them, or that count the ones they had, load anew.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

create function certgate_change_trimmed() returns trigger
language plpgsql security definer set search_path from current as $$
declare
    last_gone xid8;
begin
    if tg_op = 'TRUNCATE' then
        last_gone := pg_current_xact_id();
    else
        select gone.xid into last_gone from gone order by gone.xid desc limit 1;
    end if;
    if last_gone is not null then
        update feed
        set trimmed_to = (greatest(trimmed_to, last_gone)::text::numeric + 1::numeric)::text::xid8;
    end if;
    return null;
end
$$;
comment on function certgate_change_trimmed() is 'trigger: advances feed.trimmed_to past what is gone';
revoke all on function certgate_change_trimmed() from public;

create trigger change_trimmed_delete after delete on change
referencing old table as gone
for each statement execute function certgate_change_trimmed();
create trigger change_trimmed_truncate after truncate on change
for each statement execute function certgate_change_trimmed();
alter table change enable always trigger change_trimmed_delete,
    enable always trigger change_trimmed_truncate;

-- As before, save that the trigger says what is gone; and whoever holds the row of feed, having
-- deleted by hand and not committed, does not hold up the callers.
create or replace function certgate_tend() returns void
language plpgsql security definer set search_path from current as $$
declare
    settled constant xid8 := pg_snapshot_xmin(pg_current_snapshot());
    surplus_to xid8;
begin
    if not pg_try_advisory_xact_lock(
        hashtext('certgate_tend'::text), hashtext(current_schema()::text)) then
        return;
    end if;
    update feed set beat_at = clock_timestamp()
    where one in (
        select due.one from feed due
        where due.beat_at < clock_timestamp() - interval '2 seconds'
            or due.beat_at > clock_timestamp() + interval '2 seconds'
        for update skip locked);
    if not found then
        return;
    end if;
    select change.xid into surplus_to
    from change order by change.xid desc offset 100000 limit 1;
    with oldest as materialized (
        select change.ctid as place, change.xid, change.at
        from change order by change.xid limit 50000
    )
    delete from change using oldest
    where change.ctid = oldest.place
        and (oldest.xid <= surplus_to
            or (oldest.xid < settled
                and oldest.at < clock_timestamp() - interval '10 minutes'));
end
$$;
