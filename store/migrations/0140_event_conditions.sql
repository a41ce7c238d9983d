-- +goose Up
-- The same indexes, with other words for their conditions. SQLite builds a list in memory for each "not in" with more than two
-- values, for each event that is written.
drop index event_rare;
drop index event_rare_scope;
drop index event_actor;
create index event_rare on event (name, seq) where name <> 'user.created' and name <> 'user.updated' and name <> 'group.created' and name <> 'group.updated';
create index event_rare_scope on event (scope_kind, scope_id, name, tx, seq) where name <> 'user.created' and name <> 'user.updated' and name <> 'group.created' and name <> 'group.updated';
create index event_actor on event (actor_id, seq) where actor_kind <> '' and actor_kind <> 'token' and actor_kind <> 'system';
