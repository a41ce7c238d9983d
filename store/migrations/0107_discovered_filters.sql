-- +goose Up
-- Lists of discovered accounts that a user nearly matches, and of those that are ambiguous.
create index job_discovered_near on job_discovered (directory, app, discovery, sort_name, account) where near > 0;
create index job_discovered_ambiguous on job_discovered (directory, app, discovery, sort_name, account) where ambiguous <> '';
