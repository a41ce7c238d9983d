-- +goose Up
-- How many creates were sent for a person whose outcome is unknown.
alter table job_op add column times integer not null default 1;
