-- +goose Up
-- Random and unique values that were drawn for an object's account, and what others are compared with. inputs is a hash.
create table job_drawn (
    directory  text  not null,
    app        text  not null,
    object_id  text  not null,
    path       text  not null,
    value      text  not null,
    folded     text  not null,
    inputs     text  not null,
    primary key (directory, app, object_id, path)
);

create index job_drawn_folded on job_drawn (directory, app, path, folded);

-- The domain that expressions get from DefaultDomain(); '' is none.
alter table directory add column default_domain text not null default '';
