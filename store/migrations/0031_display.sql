-- +goose Up
-- The displayName as it is written, for the members of groups. Null where the resource was last written before this migration:
-- then it is read from the document.
alter table resource add column display text;
