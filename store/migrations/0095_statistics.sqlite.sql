-- +goose Up
-- Who is assigned through groups is answered from this index alone.
drop index directory_member_of;
create index directory_member_of on directory_member (directory, member, gone, group_id, kind);
-- Without statistics, SQLite takes the owner of a row for selective. It read all memberships of a
-- directory to find the groups of a few users, and all links of a job to find one by its key. In
-- truth most rows have the same owner, as these numbers say: the rows of the index, then the rows
-- with the same value in its first column, in its first two columns, and so on. They stay as they
-- are, so plans do not change while a database grows. PostgreSQL makes statistics of its own.
-- See https://sqlite.org/fileformat2.html#stat1tab.
analyze sqlite_schema;
insert into sqlite_stat1 (tbl, idx, stat)
values
    ('directory_group', 'sqlite_autoindex_directory_group_1', '1000 300 1'),
    ('directory_group', 'directory_group_list', '1000 300 1 1 1 1'),
    ('directory_group', 'directory_group_look', '1000 300 1'),
    ('directory_group', 'directory_group_gone', '100 100 1'),
    ('directory_group', 'directory_group_purged', '10 10 1'),
    ('directory_member', 'sqlite_autoindex_directory_member_1', '100000 50000 100 1'),
    ('directory_member', 'directory_member_of', '100000 50000 10 10 1 1'),
    ('directory_member', 'directory_member_list', '100000 50000 100 100 1 1'),
    ('directory_member', 'directory_member_gone', '1000 1000 2'),
    ('job_link', 'sqlite_autoindex_job_link_1', '100000 30000 30000 1'),
    ('job_link', 'job_link_target', '100000 30000 30000 25000 1'),
    ('job_link', 'job_link_state', '100000 30000 30000 25000 5000'),
    ('job_link', 'job_link_first_key', '100000 30000 30000 1'),
    ('job_link', 'job_link_refers', '50000 20000 20000 10');
