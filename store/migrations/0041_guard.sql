-- +goose Up
-- An import that changes a directory. seen is its last transaction: an import that was killed is not seen any more.
create table directory_cause (
    directory text not null,
    id text not null,
    words text not null,
    since bigint not null,
    seen bigint not null,
    primary key (directory, id)
);

-- takes: the row was found to take access away, and nothing speaks against sending it when its verdict is 'ready'. The other verdicts are
-- judging (its cause has more changes to come), late (it was found while somebody was worked on), held and rejected.
alter table job_pending add column takes integer not null default 0;

-- What one import or one change of a job's settings takes away is counted together. complete: all its changes are on the work list.
-- passed: how many were let through. batch grows with each time that some were held; held is how many there were then.
create table job_cause (
    directory text not null,
    app text not null,
    cause text not null,
    words text not null default '',
    since bigint not null default 0,
    complete integer not null default 0,
    passed integer not null default 0,
    links integer not null default 0,
    batch integer not null default 0,
    held integer not null default 0,
    primary key (directory, app, cause)
);

-- The last change of settings that has everyone looked at, in words.
alter table job add column asked_why text not null default '';
