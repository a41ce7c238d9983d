-- +goose Up
create table directory_group (
    directory text not null references directory (id),
    object_id text not null,
    sort_key text not null,
    search_text text not null,
    -- The skeleton of the display name: equal for names that look the same.
    look text not null,
    deleted bigint not null,
    -- When it was deleted permanently, 0: it was not. Its rows stay until the events about it are pruned.
    purged bigint not null,
    version bigint not null,
    created bigint not null,
    modified bigint not null,
    attributes text not null,
    primary key (directory, object_id)
);

-- Lists are read in this order; the index alone answers a search that finds nothing.
create index directory_group_list on directory_group (directory, sort_key, object_id, deleted, search_text);

create index directory_group_look on directory_group (directory, look) where deleted = 0;

create index directory_group_gone on directory_group (directory, object_id) where deleted > 0;

create index directory_group_purged on directory_group (directory, purged) where purged > 0;

-- One row for each direct member. gone is when it was removed, 0: it was not. Removed members stay until the events about them are
-- pruned: whoever reads the event of a group's assignment later still finds everyone it concerns.
create table directory_member (
    directory text not null,
    group_id text not null,
    member text not null,
    kind text not null,
    created bigint not null,
    gone bigint not null,
    primary key (directory, group_id, member)
);

create index directory_member_of on directory_member (directory, member, gone, group_id);

create index directory_member_gone on directory_member (directory, gone) where gone > 0;

-- Groups that are assigned to applications. gone is as above.
create table directory_group_assignment (
    directory text not null,
    application text not null,
    group_id text not null,
    role text not null,
    created bigint not null,
    gone bigint not null,
    primary key (directory, application, group_id)
);

create index directory_group_assignment_group on directory_group_assignment (directory, group_id, application);

-- An application's own roles.
create table directory_app_role (
    directory text not null,
    application text not null,
    id text not null,
    value text not null,
    value_folded text not null,
    display_name text not null,
    description text not null,
    enabled boolean not null,
    primary key (directory, application, id)
);

create unique index directory_app_role_value on directory_app_role (directory, application, value_folded);

-- The role of an assignment; empty: Default Access.
alter table directory_assignment add column role text not null default '';
