-- +goose Up
create table note (
    key   text   not null primary key,
    value text   not null,
    count bigint not null,
    time  bigint not null
);
