-- +goose Up
-- Accounts and groups at an application that a person has marked: they stay as they are. kind is User
-- or Group, because a group may have the same id as an account.
create table job_keep (
    directory  text   not null,
    app        text   not null,
    kind       text   not null,
    account    text   not null,
    kept_by    text   not null,
    since      bigint not null,
    primary key (directory, app, kind, account)
);

insert into job_keep (directory, app, kind, account, kept_by, since)
select directory, app, 'User', account, kept_by, since
from job_kept;

drop table job_kept;
