-- +goose Up
-- An API key of a directory is known by the SHA-256 of its secret, in hexadecimal. Its secret is nowhere. revoked and last_used = 0: not.
-- form is the single-use number of the form that made it, or ''.
create table operator_key (
    directory  text   not null references directory (id),
    id         text   not null,
    hash       text   not null,
    name       text   not null,
    last4      text   not null,
    level      text   not null,
    created_by text   not null,
    created    bigint not null,
    expires    bigint not null,
    revoked    bigint not null,
    last_used  bigint not null,
    last_from  text   not null,
    form       text   not null,
    primary key (directory, id)
);

create unique index operator_key_hash on operator_key (directory, hash);

create unique index operator_key_form on operator_key (directory, form) where form <> '';
