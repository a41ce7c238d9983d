-- +goose Up
-- As in 0095: without these numbers, SQLite read all memberships of a job each time an account came
-- or went, to find the groups of that account.
insert into sqlite_stat1 (tbl, idx, stat)
values
    ('job_member', 'sqlite_autoindex_job_member_1', '300000 100000 100000 100 1'),
    ('job_member', 'job_member_of', '300000 100000 100000 10'),
    ('job_member', 'job_member_open', '1000 500 500 100 1'),
    ('job_member', 'job_member_judged', '1000 500 500 500 500 100 1'),
    ('job_member', 'job_member_refused', '100 50 50 10');
