-- +goose Up
-- Objects that a person provisions on demand come before all others, also on a list of a million.
create index job_pending_demanded on job_pending (directory, app, not_before) where why = 'demand';
