-- +goose Up
-- A person whom an administrator has blocked is not active until an administrator lifts the block. active_after_block is
-- whether they are active then: SCIM may change that meanwhile.
alter table resource add column blocked boolean not null default false;

alter table resource add column active_after_block boolean not null default false;

create index resource_blocked on resource (site, blocked) where blocked;

-- Until now, on a site that revives and is not strict, a create over SCIM could not bring back a person whom an administrator
-- had deactivated by hand. A create asks about blocks from now on, so these people are blocked. On other sites nothing told
-- a deactivation by hand from another one; there it stays what it was.
update resource
set blocked = true, active_after_block = true
where kind = 'User' and not active and active_via = 'admin'
    and site in (select s.id from site s where s.revives and not s.strict);
