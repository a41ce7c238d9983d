-- +goose Up
-- Skeletons that names of a site share which are not the same name. The skeletons of all names are rows of resource_value.
create table look_alike (
    site      text    not null references site (id) on delete cascade,
    skeleton  text    not null,
    primary key (site, skeleton)
);

-- The people who are there get theirs in the background, as the rows of what is declared searchable.
insert into value_index (site, id, kind, complete, seq, resource, done)
select s.id, 'looks', 'User', false, 0, '', 0
from site s
where s.deleted = 0;

insert into lease (kind, key, owner, epoch, until, next_at)
select 'searchable', s.id, '', 0, 0, 0
from site s
where s.deleted = 0
on conflict (kind, key) do update
set next_at = 0;
