-- +goose Up
-- The changes of a group's members that a request to the application is about to carry out. While
-- the row is there, the outcome of the request is not known. changes is a JSON list: each element is
-- the object id of a member and the id of the account.
create table job_member_request (
    directory text not null,
    app       text not null,
    group_id  text not null,
    changes   text not null,
    primary key (directory, app, group_id)
);
