-- +goose Up
-- Versions of a job's mappings: who changed what, and the schema after the change.
create table job_mapping (
    directory text not null,
    app text not null,
    number bigint not null,
    at bigint not null,
    actor text not null,
    words text not null,
    schema_document text not null,
    primary key (directory, app, number)
);

insert into job_mapping (directory, app, number, at, actor, words, schema_document)
select directory, app, version, modified, '', 'As it was when versions were kept for the first time.', schema_document
from job;
