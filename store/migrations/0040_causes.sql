-- +goose Up
-- Who fails and should lose access is told apart from others who fail.
alter table job_escrow add column lane integer not null default 3;

-- All events of one import have the same cause. Destructive work of one cause is counted together.
alter table event add column cause text not null default '';
