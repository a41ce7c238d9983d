-- +goose Up
-- When the application of a job is compared with what provisioning wrote, and what happens then, as
-- a JSON document.
create table job_drift_schedule (
    directory  text not null,
    app        text not null,
    schedule   text not null,
    primary key (directory, app)
);
