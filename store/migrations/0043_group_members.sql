-- +goose Up
-- Groups are provisioned from now on. Jobs of earlier versions have an enabled mapping of groups that did nothing: it is switched off,
-- and the status offers it. '' means that somebody has decided.
alter table job add column groups text not null default 'offered';

-- Lanes for groups, memberships and references come before checks, which were lane 4.
update job_pending set lane = 20 where lane = 4;
update job_escrow set lane = 20 where lane = 4;

-- One row for each membership that a job has sent, or has to look at. has is the id that the application acknowledged as a member, ''
-- if none. unsure: a request about it may or may not have been carried out. turn grows with each change; done is the turn that was
-- worked on last. refused is why the application refused it.
create table job_member (
    directory text not null,
    app text not null,
    group_id text not null,
    member text not null,
    has text not null default '',
    unsure boolean not null default false,
    turn bigint not null default 0,
    done bigint not null default 0,
    refused text not null default '',
    primary key (directory, app, group_id, member)
);

create index job_member_open on job_member (directory, app, group_id, member) where turn <> done;

create index job_member_of on job_member (directory, app, member);

-- Groups of which all members are looked at. after is the last member that was read.
create table job_member_read (
    directory text not null,
    app text not null,
    group_id text not null,
    after text not null,
    primary key (directory, app, group_id)
);

-- The object that an account refers to, such as the manager. If that object's account comes, goes or changes, the reference is looked
-- at again.
alter table job_link add column refers text not null default '';

create index job_link_refers on job_link (directory, app, refers) where refers <> '';
