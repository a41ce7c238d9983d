-- +goose Up
-- The work list has lanes: who leaves goes first, whoever waited longest goes next. turn grows with each change of the same
-- object, so that a change that arrives while the object is worked on is not lost. reason says why a row waits.
alter table job_pending add column lane integer not null default 3;
alter table job_pending add column since bigint not null default 0;
alter table job_pending add column turn bigint not null default 1;
alter table job_pending add column cause text not null default '';
alter table job_pending add column verdict text not null default 'ready';
alter table job_pending add column reason text not null default '';

create index job_pending_next on job_pending (directory, app, verdict, lane, since, object_id);
