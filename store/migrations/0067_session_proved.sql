-- +goose Up
-- When the person of a session proved who they are, in microseconds; 0: not known. Sessions that are there already are no
-- longer fresh: it is not known when those of single sign-on began at the identity provider.
alter table site_session add column proved bigint not null default 0;
alter table operator_session add column proved bigint not null default 0;
