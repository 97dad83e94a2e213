-- Who administers, and whose mappings speak of the same certificates: asked around every change.

-- rows of one certificate, however it is spelled
create index mapping_sha256_digits on mapping (lower(replace(sha256, ':', ''))) where sha256 is not null;
-- rows of one key, however it is spelled
create index mapping_spki_sha256_digits on mapping (lower(replace(spki_sha256, ':', '')))
    where spki_sha256 is not null;
-- rows of one serial number, however it is spelled
create index mapping_serial_digits on mapping (lower(ltrim(replace(replace(replace(replace(replace(replace(serial,
    'x', ''), 'X', ''), ':', ''), '-', ''), '{', ''), '}', ''), '0'))) where serial is not null;
-- the members of a group
create index user_group_group_name on user_group (group_name);
