-- +goose Up
-- The last comparison of an application with what its job wrote: the numbers, and the accounts and groups that differ.
create table job_drift (
    directory  text not null,
    app        text not null,
    id         text not null,
    report     text not null,
    primary key (directory, app)
);

create table job_drift_object (
    directory  text not null,
    app        text not null,
    comparison text not null,
    object_id  text not null,
    found      text not null,
    primary key (directory, app, comparison, object_id)
);
