-- +goose Up
-- Whether two groups of a site may have one displayName. On strict sites they may, whatever this says (RFC 7643 §8.7.1).
alter table site add column shared_group_names boolean not null default false;

delete from resource_unique
where kind = 'Group' and path = 'displayName' and site in (select s.id from site s where s.strict);
