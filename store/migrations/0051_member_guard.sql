-- +goose Up
-- What the guard knows of a membership that would end. cause: the import or the change of settings that its last change came from, '' for a
-- single change. takes: the removal was let through. verdict is ready, late (to be counted), held or rejected; reason and since belong to the
-- last three.
alter table job_member add column cause text not null default '';
alter table job_member add column verdict text not null default 'ready';
alter table job_member add column takes integer not null default 0;
alter table job_member add column reason text not null default '';
alter table job_member add column since bigint not null default 0;

create index job_member_judged on job_member (directory, app, verdict, cause, group_id, member) where verdict <> 'ready';

-- The cause that a look at all members of a group belongs to.
alter table job_member_read add column cause text not null default '';

-- The removals of members of a cause that were let through, and the most memberships that there were when they were judged.
alter table job_cause add column members_passed integer not null default 0;
alter table job_cause add column memberships integer not null default 0;
