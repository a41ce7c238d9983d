-- +goose Up
-- The users of an application are counted as its assignments without those of deleted users: two indexes answer it.
create index directory_user_gone on directory_user (directory, object_id) where deleted > 0;
