-- +goose Up
-- For how many days each kind of entry is kept, 0: forever. A kind without a row has its default.
create table retention (
    kind text not null primary key,
    days bigint not null
);

-- How far a log is pruned: its entries of that kind from before until are gone.
create table pruned (
    kind text not null,
    owner text not null,
    until bigint not null,
    primary key (kind, owner)
);

-- The last event of a feed that was pruned: whoever has read less far has missed some.
create table event_floor (
    scope_kind text not null,
    scope_id text not null,
    tx bigint not null,
    seq bigint not null,
    primary key (scope_kind, scope_id)
);
