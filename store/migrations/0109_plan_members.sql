-- +goose Up
-- What became of each membership that an applied plan lists. number is the row of job_plan_object
-- that lists it. adds is 1 if the member was to be added, and 0 if it was to be removed.
create table job_plan_member (
    directory text   not null,
    app       text   not null,
    plan      text   not null,
    number    bigint not null,
    member    text   not null,
    adds      bigint not null,
    outcome   text   not null,
    reason    text   not null,
    primary key (directory, app, plan, number, member, adds)
);

-- The fingerprint of the planned operation without its references; '' if nothing would be sent.
alter table job_plan_object add column bare text not null default '';
