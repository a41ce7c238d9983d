-- +goose Up
-- The kind of object that a create of unknown outcome is about, for objects that the directory no longer has. '' is a user.
alter table job_op add column kind text not null default '';

-- Finds the memberships that the application refused.
create index job_member_refused on job_member (directory, app, group_id) where refused <> '';
