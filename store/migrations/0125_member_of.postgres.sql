-- +goose Up
-- As for SQLite: a new group changes a page of this index for nearly each of its members, so the
-- index must be small.
drop index job_member_of;
create index job_member_of on job_member (substr(member, length(member) - 7));
analyze job_member;
