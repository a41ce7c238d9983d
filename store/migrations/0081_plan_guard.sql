-- +goose Up
-- What the guard had decided about a planned operation that failed: its row left the work list. If the plan is cancelled, the row comes back with this.
-- guard_verdict is '' if the guard had nothing against the operation.
alter table job_plan_object add column guard_verdict text not null default '';
alter table job_plan_object add column guard_cause text not null default '';
alter table job_plan_object add column guard_reason text not null default '';

create index job_plan_object_guarded on job_plan_object (directory, app, guard_cause) where guard_cause <> '';
