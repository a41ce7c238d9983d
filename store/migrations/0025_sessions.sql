-- +goose Up
-- What people recognise a session by, and its idle limit in microseconds; 0: none. Sessions of before keep their end alone.
alter table site_session add column idle bigint not null default 0;
alter table site_session add column used bigint not null default 0;
alter table site_session add column address text not null default '';
alter table site_session add column agent text not null default '';
alter table site_session add column last_address text not null default '';
alter table site_session add column last_agent text not null default '';
alter table operator_session add column idle bigint not null default 0;
alter table operator_session add column used bigint not null default 0;
alter table operator_session add column address text not null default '';
alter table operator_session add column agent text not null default '';
alter table operator_session add column last_address text not null default '';
alter table operator_session add column last_agent text not null default '';
