-- +goose Up
-- The rules of a job for a re-hire and for people who have each other's names.
alter table job add column rehire text not null default 'ask';
alter table job add column swaps text not null default 'ask';

-- first_key is the first matching value of an account, without regard to case. aside is a temporary value in the middle of a swap.
alter table job_link add column first_key text not null default '';
alter table job_link add column aside text not null default '';
create index job_link_first_key on job_link (directory, app, first_key);

-- Who waits for a value that another person's account has.
create table job_awaited (
    directory text not null,
    app text not null,
    object_id text not null,
    holder text not null,
    value text not null,
    match_key text not null,
    since bigint not null,
    primary key (directory, app, object_id)
);

create index job_awaited_value on job_awaited (directory, app, value);
