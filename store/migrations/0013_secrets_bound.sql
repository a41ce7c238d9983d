-- +goose Up
-- From this version on a Secret Token is sealed for the origin of its Tenant URL. The program seals what is stored again before
-- it comes here (provision.Jobs.BindSecrets); the number tells that it has.
select 1;
