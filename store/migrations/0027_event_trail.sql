-- +goose Up
-- The audit trail by name and by actor, over all scopes and in one. What an identity provider causes day by day has no rows in
-- these indexes, so that its requests cost what they did.
create index event_rare on event (name, seq) where name not in ('user.created', 'user.updated', 'group.created', 'group.updated');
create index event_rare_scope on event (scope_kind, scope_id, name, tx, seq) where name not in ('user.created', 'user.updated', 'group.created', 'group.updated');
create index event_actor on event (actor_id, seq) where actor_kind not in ('', 'token', 'system');
