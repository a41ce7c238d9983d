-- +goose Up
-- Discoveries: which accounts an application has, and whose they are. The last complete one is kept.
-- progress is where a running discovery goes on, as a JSON document.
create table job_discovery (
    directory  text   not null,
    app        text   not null,
    id         text   not null,
    state      text   not null,
    started    bigint not null,
    report     text   not null,
    progress   text   not null,
    primary key (directory, app, id)
);

-- The accounts that a discovery has found, each once. class, change and object_id are '' until the
-- account is sorted. object_id is '' too if no user or several users match.
create table job_discovered (
    directory   text   not null,
    app         text   not null,
    discovery   text   not null,
    account     text   not null,
    class       text   not null,
    change      text   not null,
    object_id   text   not null,
    ambiguous   text   not null,
    near        bigint not null,
    sort_name   text   not null,
    search_text text   not null,
    found       text   not null,
    was         text   not null,
    primary key (directory, app, discovery, account)
);

create index job_discovered_list on job_discovered (directory, app, discovery, sort_name, account);
create index job_discovered_class on job_discovered (directory, app, discovery, class, sort_name, account);
create index job_discovered_change on job_discovered (directory, app, discovery, change, sort_name, account);

-- Hashes of values by which accounts and users are compared. They are removed when the discovery ends.
create table job_discovered_key (
    directory  text   not null,
    app        text   not null,
    discovery  text   not null,
    hash       bigint not null,
    account    text   not null,
    primary key (directory, app, discovery, hash, account)
);

-- The users that match an account, and with near = 1 those that nearly match it.
create table job_discovered_match (
    directory  text   not null,
    app        text   not null,
    discovery  text   not null,
    account    text   not null,
    object_id  text   not null,
    near       bigint not null,
    match      text   not null,
    primary key (directory, app, discovery, account, object_id)
);

create index job_discovered_match_object on job_discovered_match (directory, app, discovery, object_id);
