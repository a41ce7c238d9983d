-- +goose Up
-- Whether a create over SCIM of somebody whom SCIM deactivated gives them their account back.
alter table site add column revives boolean not null default false;
