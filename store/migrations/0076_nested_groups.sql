-- +goose Up
-- Whether groups are sent as members of groups. Entra leaves them out.
alter table job add column nested boolean not null default false;
