-- Who administers, and whose mappings speak of the same certificates: asked around every change.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

create index mapping_sha256_digits on mapping (lower(replace(sha256, ':', ''))) where sha256 is not null;
comment on index mapping_sha256_digits is 'rows of one certificate, however it is spelled';
create index mapping_spki_sha256_digits on mapping (lower(replace(spki_sha256, ':', '')))
    where spki_sha256 is not null;
comment on index mapping_spki_sha256_digits is 'rows of one key, however it is spelled';
create index mapping_serial_digits on mapping ((lower(ltrim(replace(replace(replace(replace(replace(replace(serial,
    'x', ''), 'X', ''), ':', ''), '-', ''), '{', ''), '}', ''), '0')))) where serial is not null;
comment on index mapping_serial_digits is 'rows of one serial number, however it is spelled';
create index user_group_group_name on user_group (group_name);
comment on index user_group_group_name is 'the members of a group';
