-- +goose Up
-- Users and groups of sites. doc is the SCIM document as it is answered, without meta.location and groups.
-- Columns beside it are folded in Go and written from it. seq orders lists: microseconds of creation.
-- An id is unique in its site whatever the kind (RFC 7643 §3.1). Every index has its own second column, so that a
-- database without statistics, which is every new one, cannot take one index for another.
create table resource (
    site          text    not null references site (id) on delete cascade,
    kind          text    not null,
    id            text    not null,
    seq           bigint  not null,
    version       bigint  not null,
    user_name     text,
    external_id   text    not null,
    display_name  text    not null,
    active        boolean not null,
    role          text    not null,
    created       bigint  not null,
    modified      bigint  not null,
    last_by       text    not null,
    last_via      text    not null,
    last_at       bigint  not null,
    last_text     text    not null,
    active_by     text    not null,
    active_via    text    not null,
    active_at     bigint  not null,
    role_by       text    not null,
    role_via      text    not null,
    role_at       bigint  not null,
    last_sign_in  bigint  not null,
    doc           text    not null,
    primary key (site, id)
);

create unique index resource_user_name on resource (site, user_name);

-- Lists are read in this order; the index alone counts them and skips to a page.
create index resource_list on resource (site, seq, id, kind, active, role, last_sign_in);

create index resource_external_id on resource (site, external_id) where external_id <> '';

create index resource_display_name on resource (site, display_name) where display_name <> '';

create index resource_role on resource (site, role, active) where role in ('Moderator', 'Admin');

-- Searchable values of multi-valued attributes, folded. element tells the values of one attribute apart.
create table resource_value (
    site      text    not null references site (id) on delete cascade,
    path      text    not null,
    value     text    not null,
    resource  text    not null,
    element   bigint  not null,
    primary key (site, path, value, resource, element)
);

-- One row for each member of a group.
create table membership (
    site         text    not null references site (id) on delete cascade,
    group_id     text    not null,
    member       text    not null,
    member_kind  text    not null,
    added        bigint  not null,
    primary key (site, group_id, member)
);

create index membership_member on membership (site, member, group_id);

-- By which name an assertion calls a person (NameID, the user identifier). Letter case counts.
create table identity (
    site             text    not null references site (id) on delete cascade,
    user_identifier  text    not null,
    person           text    not null,
    created          bigint  not null,
    primary key (site, user_identifier)
);

create unique index identity_person on identity (site, person);

-- Signed-in browsers, known by the SHA-256 of their secret, in hexadecimal.
create table site_session (
    site     text    not null references site (id) on delete cascade,
    hash     text    not null,
    person   text    not null,
    created  bigint  not null,
    expires  bigint  not null,
    primary key (site, hash)
);

create index site_session_person on site_session (site, person);
