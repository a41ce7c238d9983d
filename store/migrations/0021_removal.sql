-- +goose Up
-- When a site or directory was deleted, 0: it was not. It has no name any more, and its rows are removed little by little.
alter table site add column deleted bigint not null default 0;

alter table directory add column deleted bigint not null default 0;

-- What was deleted and still has rows. part is the application, where not all of a directory was deleted.
create table removal (
    kind text not null,
    owner text not null,
    part text not null,
    since bigint not null,
    primary key (kind, owner, part)
);
