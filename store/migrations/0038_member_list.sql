-- +goose Up
-- The members of one group, as lists, counts and snapshots read them.
create index directory_member_list on directory_member (directory, group_id, gone, member, kind);
