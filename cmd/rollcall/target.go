package main

import (
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/provision/templates"
	"github.com/rollcall-scim/rollcall/scimclient"
)

// targetMaker returns a function that makes a SCIM client for a Tenant URL and a token. All these
// clients use the given HTTP client, which checks addresses.
func targetMaker(client *http.Client, now func() time.Time) provision.TargetMaker {
	return func(tenantURL, secret string) (provision.Target, error) {
		return scimclient.New(tenantURL, secret, scimclient.Options{HTTP: client, Now: now, NewID: uuid.NewString})
	}
}

// guideTemplate returns the schema that a new application gets. It has the mappings of the set-up
// guide for Stack Overflow for Teams.
func guideTemplate() (*provision.Schema, error) {
	text, err := templates.Get(templates.Guide)
	if err != nil {
		return nil, err
	}
	return provision.ParseSchema(text)
}
