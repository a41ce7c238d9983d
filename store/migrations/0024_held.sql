-- +goose Up
-- Changes of what a person signs in by that SCIM asked for and an administrator decides on, as JSON text; empty for none.
-- held_waiting says that one of them is not decided on.
alter table resource add column held text not null default '';

alter table resource add column held_waiting boolean not null default false;

create index resource_held on resource (site, held_waiting) where held_waiting;
