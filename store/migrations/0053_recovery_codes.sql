-- +goose Up
-- Recovery codes, by the SHA-256 of each: an administrator comes in with one if single sign-on fails. used is 0 until then.
create table recovery_code (
    site     text    not null references site (id) on delete cascade,
    hash     text    not null,
    person   text    not null,
    created  bigint  not null,
    used     bigint  not null,
    primary key (site, hash)
);

create index recovery_code_person on recovery_code (site, person);
