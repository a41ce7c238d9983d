-- +goose Up
-- The row of a plan that changes an object's references, after the row that changes the object
-- itself. 12 is provision.References. Without this index, each planned operation reads its whole
-- plan to find that row.
create index job_plan_object_references on job_plan_object (directory, app, plan, object_id) where lane = 12;
