-- +goose Up
-- Attributes that an administrator declared searchable, as a JSON list that only the program reads. The id of each is
-- the path of its value rows.
alter table site add column searchable text not null default '';

-- How far those rows are: of the resources of a kind, in the order of their list, done of them have theirs, up to the
-- one at (seq, resource). complete = true: all have, and every write keeps it so.
create table value_index (
    site      text    not null references site (id) on delete cascade,
    id        text    not null,
    kind      text    not null,
    complete  boolean not null,
    seq       bigint  not null,
    resource  text    not null,
    done      bigint  not null,
    primary key (site, id)
);
