-- +goose Up
-- A site's connection to an OpenID provider, beside that of SAML: which protocol is used (saml, oidc), and the provider's
-- settings. oidc_secret is base64 of the client secret, sealed with the key file; empty if there is none.
alter table saml_connection add column protocol text not null default 'saml';
alter table saml_connection add column oidc_issuer text not null default '';
alter table saml_connection add column oidc_client_id text not null default '';
alter table saml_connection add column oidc_secret text not null default '';
alter table saml_connection add column oidc_user_identifier text not null default '';
alter table saml_connection add column oidc_display_name text not null default 'preferred_username';
alter table saml_connection add column oidc_email text not null default 'email';
alter table saml_connection add column oidc_job_title text not null default '';
alter table saml_connection add column oidc_department text not null default '';

-- The OpenID provider that a request was sent to; empty for SAML.
alter table saml_request add column issuer text not null default '';
