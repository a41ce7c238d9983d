-- +goose Up
-- Links are counted by kind and state, for the status and for metrics.
create index job_link_state on job_link (directory, app, kind, state);
