-- +goose Up
create table site (
    id            text    not null primary key,
    name          text    not null unique,
    profile       text    not null,
    scim_enabled  boolean not null,
    manage_roles  boolean not null,
    strict        boolean not null,
    matches       text    not null,
    created       bigint  not null
);

-- A token is known by the SHA-256 of its secret, in hexadecimal. Its secret is nowhere. revoked = 0: not.
create table token (
    site             text    not null references site (id) on delete cascade,
    id               text    not null,
    hash             text    not null,
    name             text    not null,
    last4            text    not null,
    created_by       text    not null,
    created          bigint  not null,
    expires          bigint  not null,
    revoked          bigint  not null,
    replaces_on_use  text    not null,
    last_used        bigint  not null,
    last_from        text    not null,
    primary key (site, id)
);

create unique index token_hash on token (site, hash);

-- The single-use numbers of forms that made a token.
create table token_form (
    site    text    not null references site (id) on delete cascade,
    number  text    not null,
    used    bigint  not null,
    primary key (site, number)
);

-- What an identity provider asked of a site and what it got. change = false: a read that was answered.
-- fixes and ignored are JSON lists of text that only the program reads.
create table request_log (
    site         text    not null references site (id) on delete cascade,
    time         bigint  not null,
    id           text    not null,
    token        text    not null,
    token_last4  text    not null,
    method       text    not null,
    path         text    not null,
    status       bigint  not null,
    duration     bigint  not null,
    user_name    text    not null,
    subject      text    not null,
    sentence     text    not null,
    fixes        text    not null,
    ignored      text    not null,
    remote       text    not null,
    result       text    not null,
    change       boolean not null,
    primary key (site, time, id)
);

create index request_log_change on request_log (site, time, id) where change;
