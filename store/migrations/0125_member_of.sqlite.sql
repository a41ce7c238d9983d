-- +goose Up
-- The memberships of a person are found by the last characters of the person's id. A new group
-- changes a page of this index for nearly each of its members, so the index must be small. With the
-- ids of the job and the whole id of the member, it had ten times as many pages. The last characters
-- differ even if the ids are numbers or begin with a time.
drop index job_member_of;
create index job_member_of on job_member (substr(member, length(member) - 7));
delete from sqlite_stat1
where idx = 'job_member_of';
insert into sqlite_stat1 (tbl, idx, stat)
values ('job_member', 'job_member_of', '300000 20');
