-- +goose Up
-- Accounts at an application that a person has marked: they stay as they are.
create table job_kept (
    directory  text   not null,
    app        text   not null,
    account    text   not null,
    kept_by    text   not null,
    since      bigint not null,
    primary key (directory, app, account)
);
