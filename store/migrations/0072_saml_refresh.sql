-- +goose Up
-- Refreshes of an identity provider's metadata, in microseconds: when the daily one is due, when an unknown key last asked for
-- one, when the last one began and ended, and why it took over nothing (empty if it did).
alter table saml_connection add column refresh_due bigint not null default 0;
alter table saml_connection add column refresh_asked bigint not null default 0;
alter table saml_connection add column refresh_began bigint not null default 0;
alter table saml_connection add column refresh_ended bigint not null default 0;
alter table saml_connection add column refresh_failure text not null default '';
