-- +goose Up
-- What changed, in commit order: by the number of the writing transaction, then
-- by seq. Readers stop below the oldest transaction that is still running.
create table event (
    seq        bigint  not null generated always as identity primary key,
    tx         bigint  not null default (pg_current_xact_id()::text::bigint),
    time       bigint  not null,
    scope_kind text    not null,
    scope_id   text    not null,
    name       text    not null,
    actor      text    not null,
    subject    text    not null,
    text       text    not null,
    data       text    not null
);

create index event_scope on event (scope_kind, scope_id, tx, seq);
create index event_subject on event (scope_kind, scope_id, subject, tx, seq) where subject <> '';

-- What is added to a transaction's number to make an event's tx: it grows when
-- the database moves to a server whose numbers are lower than its own.
create table event_base (
    base bigint not null
);

insert into event_base (base) values (0);

-- Who advances a key, until when. epoch counts the owners and fences a late
-- one. next_at is when the key wants to be advanced, 9223372036854775807: not.
create table lease (
    kind    text   not null,
    key     text   not null,
    owner   text   not null,
    epoch   bigint not null,
    until   bigint not null,
    next_at bigint not null,
    primary key (kind, key)
);

create index lease_next on lease (kind, next_at);
