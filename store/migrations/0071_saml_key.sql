-- +goose Up
-- The SAML key pairs of a site. certificate is base64 of DER; sealed is base64 of the private key, sealed with the key file.
-- state is announced (in the metadata, does not sign yet), used, or old (still decrypts).
create table saml_key (
    site         text    not null references site (id) on delete cascade,
    id           text    not null,
    certificate  text    not null,
    sealed       text    not null,
    state        text    not null,
    made         bigint  not null,
    primary key (site, id)
);

alter table saml_connection add column sign_requests boolean not null default false;
