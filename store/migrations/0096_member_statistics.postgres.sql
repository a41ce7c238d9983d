-- +goose Up
-- PostgreSQL makes statistics of its own.
analyze job_member;
