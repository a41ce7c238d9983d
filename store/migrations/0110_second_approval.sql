-- +goose Up
-- Whether plans of the job must be approved by another operator than the one who made them.
alter table job add column second_approval boolean not null default false;

-- The ids of the operators who made and approved a plan; '' if it was somebody else, such as the
-- command line.
alter table job_plan add column made_by_id text not null default '';
alter table job_plan add column approved_by_id text not null default '';
