-- +goose Up
alter table note add column place text not null default '';
