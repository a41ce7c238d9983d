-- +goose Up
-- unasked and unasked_members are how many operations of a cause the guard let through without asking anybody, and unasked_at is when
-- it last did so. The operations of 24 hours count together. recent is how many operations of other causes are the reason why those of
-- this cause are on hold.
alter table job_cause add column unasked bigint not null default 0;
alter table job_cause add column unasked_members bigint not null default 0;
alter table job_cause add column unasked_at bigint not null default 0;
alter table job_cause add column recent bigint not null default 0;
-- How many operations of a job may take access away by themselves: by Rollcall's own rules, or by Entra's, which have a fixed number for
-- each cycle; 0 means any number.
alter table job add column rules text not null default 'rollcall';
alter table job add column delete_threshold bigint not null default 500;
