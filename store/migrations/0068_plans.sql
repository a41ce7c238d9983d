-- +goose Up
-- Plans that were made and kept, to be reviewed, approved and applied.
create table job_plan (
    directory  text    not null,
    app        text    not null,
    id         text    not null,
    hash       text    not null,
    state      text    not null,
    settings   text    not null,
    reads      bigint  not null,
    made_by    text    not null,
    started    bigint  not null,
    made       bigint  not null,
    expires    bigint  not null,
    alive      bigint  not null,
    report     text    not null,
    problem    text    not null,
    approved_by text   not null,
    approved   bigint  not null,
    applied_by text    not null,
    applied    bigint  not null,
    primary key (directory, app, id)
);

-- The objects of plans. fingerprint is '' if nothing would be sent. turn is the turn of the object's row of the work list if the plan put it there, and -1 if
-- it was on the list before.
create table job_plan_object (
    directory   text    not null,
    app         text    not null,
    plan        text    not null,
    number      bigint  not null,
    object_id   text    not null,
    result      text    not null,
    planned     text    not null,
    fingerprint text    not null,
    lane        bigint  not null,
    outcome     text    not null,
    reason      text    not null,
    turn        bigint  not null default 0,
    primary key (directory, app, plan, number)
);

create index job_plan_object_due on job_plan_object (directory, app, object_id) where outcome = 'due';

create index job_pending_planned on job_pending (directory, app, not_before) where why = 'plan';
