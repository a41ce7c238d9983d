-- +goose Up
-- What the application showed about searching by each matching attribute when the job was saved.
alter table job add column searches text not null default '';

-- The matching values that an account had when it was last written or read.
alter table job_link add column match_keys text not null default '[]';
