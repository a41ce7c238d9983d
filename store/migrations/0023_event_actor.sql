-- +goose Up
-- Who did it and from where: kind, id, name as it was then, network address and
-- user agent. Older rows keep what their actor says.
alter table event add column actor_kind text not null default '';
alter table event add column actor_id text not null default '';
alter table event add column actor_name text not null default '';
alter table event add column address text not null default '';
alter table event add column user_agent text not null default '';
