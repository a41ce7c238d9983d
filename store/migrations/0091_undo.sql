-- +goose Up
-- What a plan takes back, as a JSON document; '' for a plan of what the next cycle would do.
alter table job_plan add column undo text not null default '';

-- The cause of the change for which an object was put on the work list. Unlike cause, it stays after the guard has judged. The log names it.
alter table job_pending add column origin text not null default '';
