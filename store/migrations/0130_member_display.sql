-- +goose Up
-- The displayName of the member, as in resource: a group with its members is read from these rows alone. Null where
-- resource has null too: then it is read from the document.
alter table membership add column display text;

update membership
set display = r.display
from resource r
where r.site = membership.site and r.id = membership.member;
