-- Finding known certificates by what an operator has of them: whose renewal one looks like, and
-- one of that serial or that subject.
--
-- Names and serials are hashed: a text of 4096 bytes, which anybody's certificate can have, is too
-- long for a tree, and would make the whole report fail.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

create index certificate_spki_sha256 on certificate (spki_sha256);
comment on index certificate_spki_sha256 is 'a renewal that keeps the key';
create index certificate_subject on certificate using hash (subject);
comment on index certificate_subject is 'a renewal of the same name; certificates of that name';
create index certificate_serial on certificate using hash (serial);
comment on index certificate_serial is 'certificates of that serial';
