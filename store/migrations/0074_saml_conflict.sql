-- +goose Up
-- Verified sign-ins that wait because an account is there already: what the identity provider says about the person, and the
-- account that stands in the way. Times in microseconds.
create table saml_conflict (
    site          text    not null references site (id) on delete cascade,
    id            text    not null,
    person        text    not null,
    reason        text    not null,
    issuer        text    not null,
    identifier    text    not null,
    match         text    not null,
    display_name  text    not null,
    email         text    not null,
    first         bigint  not null,
    last          bigint  not null,
    times         bigint  not null,
    primary key (site, id)
);

create unique index saml_conflict_identity on saml_conflict (site, issuer, identifier, person);
