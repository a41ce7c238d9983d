-- +goose Up
-- Who is assigned through groups is answered from this index alone.
drop index directory_member_of;
create index directory_member_of on directory_member (directory, member, gone, group_id, kind);
-- PostgreSQL makes statistics of its own.
analyze directory_member;
