-- +goose Up
-- The identity provider that called a person by their user identifier; empty in an imported one, until its first use.
alter table identity add column issuer text not null default '';

-- A site's connection to its identity provider. certificates are base64 of DER, one a line.
create table saml_connection (
    site              text    not null primary key references site (id) on delete cascade,
    mode              text    not null,
    idp_entity_id     text    not null,
    sign_in_url       text    not null,
    sign_out_url      text    not null,
    certificates      text    not null,
    metadata_url      text    not null,
    entity_id         text    not null,
    user_identifier   text    not null,
    display_name      text    not null,
    email             text    not null,
    job_title         text    not null,
    department        text    not null,
    creates           boolean not null,
    unsolicited       boolean not null,
    session_length    bigint  not null,
    version           bigint  not null
);

-- Requests on their way, known by the SHA-256 of their relay state; browser is the SHA-256 of that browser's cookie.
create table saml_request (
    site        text    not null references site (id) on delete cascade,
    hash        text    not null,
    request     text    not null,
    browser     text    not null,
    purpose     text    not null,
    person      text    not null,
    return_to   text    not null,
    version     bigint  not null,
    expires     bigint  not null,
    primary key (site, hash)
);

create index saml_request_expires on saml_request (expires);

-- Assertions that were accepted, by the SHA-256 of issuer and id, until nobody can accept them any more.
create table saml_assertion (
    site   text    not null references site (id) on delete cascade,
    hash   text    not null,
    until  bigint  not null,
    primary key (site, hash)
);

create index saml_assertion_until on saml_assertion (until);

-- The last test of a connection by each person, with the version that was tested; result is JSON text.
create table saml_test (
    site     text    not null references site (id) on delete cascade,
    person   text    not null,
    version  bigint  not null,
    passed   boolean not null,
    tested   bigint  not null,
    result   text    not null,
    primary key (site, person)
);
