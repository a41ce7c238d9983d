-- +goose Up
-- Each sign-in that begins deletes the expired requests and assertions of its site. An index by
-- expiry alone, or the key by site alone, would make it read all rows of the site or of all sites.
drop index saml_request_expires;
create index saml_request_expires on saml_request (site, expires);
drop index saml_assertion_until;
create index saml_assertion_until on saml_assertion (site, until);
