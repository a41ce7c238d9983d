-- +goose Up
-- By what an identity provider knows a session that began with its assertion; empty for other sessions.
alter table site_session add column issuer text not null default '';
alter table site_session add column name_id text not null default '';
alter table site_session add column name_format text not null default '';
alter table site_session add column session_index text not null default '';

create index site_session_name_id on site_session (site, name_id);

alter table saml_connection add column signs_out boolean not null default false;
