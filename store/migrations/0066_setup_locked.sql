-- +goose Up
-- The pages set up SCIM on a new site only once single sign-on has let somebody in, or an administrator goes on without it.
-- Sites that are there already are not locked.
alter table site add column setup_locked boolean not null default false;
