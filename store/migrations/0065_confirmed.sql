-- +goose Up
-- How many accounts administrators have agreed to lose, counted over all changes of the job's settings so far. A change that is confirmed with
-- its number is not held for that number.
alter table job add column confirmed bigint not null default 0;

-- The number that was agreed to for this cause; 0 if nobody was asked.
alter table job_cause add column allowed integer not null default 0;
