-- +goose Up
-- PostgreSQL makes statistics of its own.
analyze directory_member;
