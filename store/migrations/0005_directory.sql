-- +goose Up
create table directory (
    id text not null primary key,
    name text not null unique,
    created bigint not null
);

create table directory_user (
    directory text not null references directory (id),
    object_id text not null,
    upn_folded text not null,
    sort_key text not null,
    search_text text not null,
    account_enabled boolean not null,
    deleted bigint not null,
    manager text not null,
    version bigint not null,
    created bigint not null,
    modified bigint not null,
    attributes text not null,
    primary key (directory, object_id)
);

-- A soft-deleted user's name is free for another one.
create unique index directory_user_upn on directory_user (directory, upn_folded) where deleted = 0;

create index directory_user_deleted_upn on directory_user (directory, upn_folded, deleted) where deleted > 0;

-- Lists are read in this order; the index alone answers a search that finds nothing.
create index directory_user_list on directory_user (directory, sort_key, object_id, deleted, account_enabled, search_text);

create index directory_user_manager on directory_user (directory, manager) where manager > '';

create table directory_application (
    directory text not null references directory (id),
    id text not null,
    name text not null,
    name_folded text not null,
    created bigint not null,
    primary key (directory, id)
);

create unique index directory_application_name on directory_application (directory, name_folded);

create table directory_assignment (
    directory text not null,
    application text not null,
    object_id text not null,
    created bigint not null,
    primary key (directory, application, object_id)
);

create index directory_assignment_user on directory_assignment (directory, object_id, application);
