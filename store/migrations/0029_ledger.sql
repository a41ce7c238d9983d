-- +goose Up
-- What a job remembers of an account: the kind of its object, what was sent for each attribute and
-- what came back (provision.Ledger), the account's version, and when the application last showed it.
-- Links from before have no ledger; their account is read when it is next needed.
alter table job_link add column kind text not null default 'User';
alter table job_link add column wrote text not null default '';
alter table job_link add column version text not null default '';
alter table job_link add column proved bigint not null default 0;

-- No two objects of a kind share an account.
drop index job_link_target;
create unique index job_link_target on job_link (directory, app, kind, target_id);
