-- +goose Up
-- What people set. How it is going is in job_state, which only the engine writes.
create table job (
    directory text not null,
    app text not null,
    mode text not null,
    tenant_url text not null,
    secret text not null,
    status text not null,
    scope text not null,
    schema_document text not null,
    version bigint not null,
    revision bigint not null,
    credentials bigint not null,
    restarts bigint not null,
    target_no bigint not null,
    created bigint not null,
    modified bigint not null,
    primary key (directory, app)
);

create table job_state (
    directory text not null,
    app text not null,
    state text not null,
    primary key (directory, app)
);

-- The work list: who is to be looked at.
create table job_pending (
    directory text not null,
    app text not null,
    object_id text not null,
    why text not null,
    not_before bigint not null,
    primary key (directory, app, object_id)
);

create table job_link (
    directory text not null,
    app text not null,
    object_id text not null,
    target_id text not null,
    how text not null,
    state text not null,
    hash text not null,
    name text not null,
    since bigint not null,
    updated bigint not null,
    primary key (directory, app, object_id)
);

-- No two people share an account.
create unique index job_link_target on job_link (directory, app, target_id);

-- Creates that may have been sent and whose outcome is not recorded yet.
create table job_op (
    directory text not null,
    app text not null,
    object_id text not null,
    id text not null,
    match_keys text not null,
    sent bigint not null,
    cycle text not null,
    primary key (directory, app, object_id)
);

create table job_escrow (
    directory text not null,
    app text not null,
    object_id text not null,
    name text not null,
    first_failed bigint not null,
    last_failed bigint not null,
    next_at bigint not null,
    count bigint not null,
    code text not null,
    reason text not null,
    primary key (directory, app, object_id)
);

create index job_escrow_next on job_escrow (directory, app, next_at);

create table job_unmatched (
    directory text not null,
    app text not null,
    object_id text not null,
    primary key (directory, app, object_id)
);

create table provisioning_log (
    directory text not null,
    app text not null,
    time bigint not null,
    id text not null,
    object_id text not null,
    cycle text not null,
    action text not null,
    status text not null,
    search_text text not null,
    entry text not null,
    primary key (directory, app, time, id)
);

create unique index provisioning_log_id on provisioning_log (directory, app, id);

create index provisioning_log_object on provisioning_log (directory, app, object_id, time);
