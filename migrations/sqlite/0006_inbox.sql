-- Finding known certificates by what an operator has of them: whose renewal one looks like, and
-- one of that serial or that subject.

-- a renewal that keeps the key
create index certificate_spki_sha256 on certificate (spki_sha256);
-- a renewal of the same name; certificates of that name
create index certificate_subject on certificate (subject);
-- certificates of that serial
create index certificate_serial on certificate (serial);
