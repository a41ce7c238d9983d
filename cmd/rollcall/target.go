package main

import (
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/provision/templates"
	"github.com/rollcall-scim/rollcall/scimclient"
)

// targetMaker makes the SCIM client of a Tenant URL and token on the checked HTTP client.
func targetMaker(client *http.Client, now func() time.Time) provision.TargetMaker {
	return func(tenantURL, secret string) (provision.Target, error) {
		return scimclient.New(tenantURL, secret, scimclient.Options{HTTP: client, Now: now, NewID: uuid.NewString})
	}
}

// guideTemplate is what a new application begins with: the mappings of the guide.
func guideTemplate() (*provision.Schema, error) {
	text, err := templates.Get(templates.Guide)
	if err != nil {
		return nil, err
	}
	return provision.ParseSchema(text)
}
