-- +goose Up
create table operator (
    id           text    not null primary key,
    name         text    not null,
    name_folded  text    not null unique,
    created      bigint  not null,
    last_sign_in bigint  not null
);

-- A link is known by the SHA-256 of its secret, in hexadecimal. used = 0: not yet.
create table operator_link (
    hash        text    not null primary key,
    name        text    not null,
    name_folded text    not null,
    created     bigint  not null,
    expires     bigint  not null,
    used        bigint  not null default 0
);

create index operator_link_name on operator_link (name_folded);

create table operator_session (
    hash     text    not null primary key,
    operator text    not null references operator (id) on delete cascade,
    created  bigint  not null,
    expires  bigint  not null
);

create index operator_session_operator on operator_session (operator);

create table signin_link (
    site    text    not null,
    hash    text    not null,
    kind    text    not null,
    person  text    not null,
    created bigint  not null,
    expires bigint  not null,
    used    bigint  not null default 0,
    primary key (site, hash)
);
