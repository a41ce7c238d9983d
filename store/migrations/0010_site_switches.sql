-- +goose Up
-- What a profile meant becomes switches of its own. schemas is the site's document of schemas and resource types,
-- empty for none. rate_limit = 0: no limit.
alter table site add column creates boolean not null default false;
alter table site add column deletes text not null default 'refuse';
alter table site add column groups_on boolean not null default false;
alter table site add column rate_limit bigint not null default 0;
alter table site add column schemas text not null default '';

update site
set creates = true, deletes = 'delete', groups_on = true
where profile = 'full';
