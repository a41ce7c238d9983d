-- +goose Up
-- An identity at an OpenID provider that signs in an operator. subject is the claim sub. used = 0: never used.
create table operator_identity (
    id       text   not null primary key,
    operator text   not null references operator (id) on delete cascade,
    issuer   text   not null,
    subject  text   not null,
    email    text   not null,
    linked   bigint not null,
    used     bigint not null
);

-- An identity belongs to one operator.
create unique index operator_identity_subject on operator_identity (issuer, subject);

create index operator_identity_operator on operator_identity (operator);

-- A sign-in of an operator that was sent to the OpenID provider. hash is the SHA-256 of its state, and browser that of the
-- secret in the browser's cookie. operator is who links an identity, or ''.
create table operator_request (
    hash      text   not null primary key,
    nonce     text   not null,
    browser   text   not null,
    purpose   text   not null,
    operator  text   not null,
    return_to text   not null,
    issuer    text   not null,
    expires   bigint not null
);

create index operator_request_expires on operator_request (expires);
