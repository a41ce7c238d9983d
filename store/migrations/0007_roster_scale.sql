-- +goose Up
-- Lists of one kind are read in the order of seq, counted from 1 for each kind of a site and not time any more: equal
-- stretches of it are counted, so that a page at any depth is found without walking to it.
-- list names that list, site/kind: no other index begins with it, so that a database without statistics, which is
-- every new one, cannot take another index for this one.
drop index resource_list;

alter table resource add column list text not null default '';

update resource
set seq = ranked.place, list = resource.site || '/' || resource.kind
from (
    select r.site, r.id, row_number() over (partition by r.site, r.kind order by r.seq, r.id) as place
    from resource r
) ranked
where ranked.site = resource.site and ranked.id = resource.id;

create index resource_list on resource (list, seq, id, active, role, last_sign_in);

-- How many resources of a kind have a seq in [bucket * 1024, (bucket + 1) * 1024). Writers of different shards do not
-- wait for each other; only the sum over the shards means something.
create table resource_count (
    site    text    not null references site (id) on delete cascade,
    kind    text    not null,
    bucket  bigint  not null,
    shard   bigint  not null,
    n       bigint  not null,
    primary key (site, kind, bucket, shard)
);

insert into resource_count (site, kind, bucket, shard, n)
select r.site, r.kind, r.seq / 1024, 0, count(*)
from resource r
group by r.site, r.kind, r.seq / 1024;

-- Values that no two resources of a kind may share, folded where letter case does not count. A user's userName has its
-- own column and index.
create table resource_unique (
    site      text    not null references site (id) on delete cascade,
    kind      text    not null,
    path      text    not null,
    value     text    not null,
    resource  text    not null,
    element   bigint  not null,
    primary key (site, kind, path, value)
);

-- Under which secrets this installation signs what clients carry for it, in hexadecimal.
create table signing_key (
    name     text    not null primary key,
    secret   text    not null,
    created  bigint  not null
);
