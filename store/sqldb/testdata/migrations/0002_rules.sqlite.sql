-- +goose Up
create table child (
    id  text not null primary key,
    key text not null references note (key)
);
create index child_key on child (key);
