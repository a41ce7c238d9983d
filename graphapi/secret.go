package graphapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/notification"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/provision"
)

// secret is Graph's synchronizationSecretKeyStringValuePair: one key and value in the list of
// secrets.
type secret struct {
	Key   string  `json:"key"`
	Value *string `json:"value"`
}

// Keys of the secrets that Rollcall handles.
const (
	keyBaseAddress    = "BaseAddress"
	keySecretToken    = "SecretToken"
	keySyncAll        = "SyncAll"
	keyNotifications  = "SyncNotificationSettings"
	keySkipOutOfScope = "SkipOutOfScopeDeletions"
	keyAuthType       = "AuthenticationType"
)

// knownSecretKeys returns the keys that Graph defines. Most of them are for applications without a
// SCIM endpoint.
func knownSecretKeys() []string {
	return strings.Fields(`None UserName Password SecretToken AppKey BaseAddress ClientIdentifier ClientSecret SingleSignOnType Sandbox Url Domain
		ConsumerKey ConsumerSecret TokenKey TokenExpiration Oauth2AccessToken Oauth2AccessTokenCreationTime Oauth2RefreshToken SyncAll InstanceName
		Oauth2ClientId Oauth2ClientSecret CompanyId UpdateKeyOnSoftDelete SynchronizationSchedule SystemOfRecord SandboxName EnforceDomain
		SyncNotificationSettings SkipOutOfScopeDeletions Oauth2AuthorizationCode Oauth2RedirectUri ApplicationTemplateIdentifier
		Oauth2TokenExchangeUri Oauth2AuthorizationUri AuthenticationType Server PerformInboundEntitlementGrants HardDeletesEnabled
		SyncAgentCompatibilityKey SyncAgentADContainer ValidateDomain TestReferences ConnectionString`)
}

// credentials holds the secrets of a request that have an effect in Rollcall. A field is nil if the
// request does not have the secret.
type credentials struct {
	address *string // the Tenant URL
	token   *string // the Secret Token
	syncAll *bool   // whether the scope is everyone instead of assigned users and groups
	// recipients are the addresses that get mail about the job; nil keeps the saved ones.
	recipients *[]string
	threshold  *int // how many accounts and groups a cycle may disable or delete; 0 means any number
}

// readSecrets reads the secrets of a request. It returns an error for a secret of a feature that
// Rollcall does not have, because a script would otherwise believe that the feature is on.
func readSecrets(pairs []secret) (c credentials, err error) {
	var seen []string
	for _, p := range pairs {
		name := ""
		for _, known := range knownSecretKeys() {
			if strings.EqualFold(known, p.Key) {
				name = known
			}
		}
		value := ""
		if p.Value != nil {
			value = *p.Value
		}
		switch {
		case name == "":
			return c, invalid("The key '%s' is not a key of secrets.", toPrintable(p.Key))
		case slices.Contains(seen, name):
			return c, invalid("The key %s occurs twice.", name)
		}
		seen = append(seen, name)
		switch name {
		case keyBaseAddress:
			c.address = &value
		case keySecretToken:
			c.token = &value
		case keySyncAll:
			all, ok := map[string]bool{"true": true, "false": false}[strings.ToLower(value)]
			if !ok {
				return c, invalid(`SyncAll is "true" or "false".`)
			}
			c.syncAll = &all
		case keyNotifications:
			if err := c.readNotificationSettings(value); err != nil {
				return c, err
			}
		case keySkipOutOfScope:
			if strings.EqualFold(value, "true") {
				return c, invalid("SkipOutOfScopeDeletions cannot be switched on here: users who leave the scope are disabled. Remove the mapping of active to keep them.")
			}
		case keyAuthType:
			if value != "" && !strings.EqualFold(value, "BearerToken") && !strings.EqualFold(value, "SecretToken") {
				return c, invalid("AuthenticationType '%s' is not supported: applications are reached with a Secret Token.", toPrintable(value))
			}
		default:
			if value != "" {
				return c, invalid("The key %s is not supported: applications are reached with BaseAddress and SecretToken.", name)
			}
		}
	}
	return c, nil
}

// readNotificationSettings reads the value of SyncNotificationSettings. The value is JSON in a
// string, such as {"Enabled":true,"Recipients":"it@contoso.example"}.
func (c *credentials) readNotificationSettings(value string) error {
	if value == "" {
		return nil
	}
	var s struct {
		Enabled                *bool
		Recipients             *string
		DeleteThresholdEnabled *bool
		DeleteThresholdValue   *int
	}
	if err := json.Unmarshal([]byte(value), &s); err != nil {
		return invalid("SyncNotificationSettings is not JSON with the members Enabled, Recipients, DeleteThresholdEnabled and DeleteThresholdValue.")
	}
	if s.Enabled != nil {
		list := []string{}
		if s.Recipients != nil {
			list = strings.FieldsFunc(*s.Recipients, func(r rune) bool { return r == ';' || r == ',' || r == ' ' })
		}
		if *s.Enabled && len(list) == 0 {
			return invalid("SyncNotificationSettings: Enabled is true, and Recipients names nobody.")
		}
		if !*s.Enabled {
			list = []string{}
		}
		c.recipients = &list
	}
	switch n := s.DeleteThresholdValue; {
	case n != nil && *n < 1:
		return invalid("SyncNotificationSettings: DeleteThresholdValue is a number from 1. To hold no number of deletions, set DeleteThresholdEnabled to false.")
	case s.DeleteThresholdEnabled != nil && !*s.DeleteThresholdEnabled:
		c.threshold = new(int)
	case n != nil:
		c.threshold = n
	}
	return nil
}

// putSecrets saves the credentials, the scope and the deletion threshold of the job, and the
// recipients of mail about it. Secrets that are not in the request keep their values.
func (c *call) putSecrets() error {
	var body struct {
		Value []secret `json:"value"`
	}
	if err := c.readJSON(&body, false); err != nil {
		return err
	}
	if len(body.Value) == 0 {
		return refuse(http.StatusBadRequest, codeMissing, "value is missing: a list of keys with their values.")
	}
	cred, err := readSecrets(body.Value)
	if err != nil {
		return err
	}
	edit := func(s *provision.Settings) {
		if cred.address != nil {
			s.TenantURL = *cred.address
		}
		s.Secret = cred.token
		s.DeleteThreshold = cred.threshold
		if cred.syncAll != nil {
			s.Scope = provision.AssignedOnly
			if *cred.syncAll {
				s.Scope = provision.Everyone
			}
		}
		if s.TenantURL != "" {
			s.Mode = provision.Automatic
		}
	}
	notice := ""
	if cred.address != nil {
		// First check whether the change is allowed. Otherwise accounts would be switched off for a
		// change that is then refused.
		if err := c.h.Jobs.CheckEdit(c.r.Context(), c.key(), edit); err != nil {
			return err
		}
		if notice, err = c.leaveApplication(*cred.address); err != nil {
			return err
		}
	}
	if cred.recipients != nil {
		if err := c.setRecipients(*cred.recipients); err != nil {
			return err
		}
	}
	job, err := c.h.Jobs.Edit(c.r.Context(), c.key(), edit, c.actor())
	if err != nil {
		return err
	}
	if cred.threshold != nil && job.Rules != provision.RulesEntra {
		notice = strings.TrimSpace(notice + " The deletion threshold is saved. It has an effect by Entra's rules only; this job follows Rollcall's rules.")
	}
	if notice != "" {
		c.w.Header().Set("Rollcall-Notice", notice)
	}
	return c.answerNoContent()
}

// setRecipients replaces the recipients of mail about the job that API keys have added. Like
// Graph's mail, the mail is about quarantine and about too many deletions.
func (c *call) setRecipients(addresses []string) error {
	topics := []notification.Topic{notification.Quarantine, notification.Held}
	return c.h.Notifications.ReplaceAddedByKeys(c.r.Context(), string(c.Directory.ID), c.app.ID, addresses, topics, c.actor())
}

// leaveApplication prepares the move of the job to another application at this address. The job
// will forget the accounts at the old application. So leaveApplication switches off the accounts
// there of people who should no longer have one. It returns an error if that fails, or if there are
// more of them than provision's guard allows. notice says how many accounts the job will forget.
func (c *call) leaveApplication(address string) (notice string, err error) {
	job, err := c.h.Jobs.Get(c.r.Context(), c.key())
	if isNoJob(err) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	move, err := c.h.Jobs.Move(c.r.Context(), job, address)
	if err != nil || move.Linked == 0 {
		return "", err
	}
	var closed provision.Closed
	if move.Leavers > 0 {
		closed, err = c.h.Engine.CloseLeavers(c.r.Context(), c.key(), c.h.Owner, c.actor(), 0)
		if input, refused := errors.AsType[*provision.InputError](err); refused {
			return "", refuse(http.StatusConflict, codeConflict, "Nothing was saved. %s %s.", input.Field, input.Text)
		} else if err != nil {
			return "", err
		}
	}
	if closed.Left > 0 {
		return "", refuse(http.StatusConflict, codeConflict, "Nothing was saved. BaseAddress leads to another application, and %d accounts at the old one should be switched off first, which failed: %s Repeat this, or change the Tenant URL on the page of the application.", closed.Left, closed.Reason)
	}
	return fmt.Sprintf("BaseAddress leads to another application. %d linked accounts at the old one are forgotten; %d of them were switched off before.", move.Linked, closed.Off), nil
}

// listSecrets answers with the keys of the secrets that are set, but never with a value.
func (c *call) listSecrets() error {
	values := []secret{}
	job, err := c.h.Jobs.Get(c.r.Context(), c.key())
	switch {
	case err == nil:
		if job.TenantURL != "" {
			values = append(values, secret{Key: keyBaseAddress})
		}
		if job.HasSecret() {
			values = append(values, secret{Key: keySecretToken})
		}
		values = append(values, secret{Key: keyNotifications}, secret{Key: keySyncAll})
	case !isNoJob(err):
		return err
	}
	return answerList(c, c.odataContext("servicePrincipals('%s')/synchronization/secrets", c.app.ID), values)
}

// credentialsBody is the request body of validateCredentials.
type credentialsBody struct {
	UseSaved    bool     `json:"useSavedCredentials"`
	TemplateID  string   `json:"templateId"`
	Credentials []secret `json:"credentials"`
}

// validateCredentials does the same as Test Connection on the pages, with the saved credentials or
// those in the request.
func (c *call) validateCredentials() error {
	var body credentialsBody
	if err := c.readJSON(&body, false); err != nil {
		return err
	}
	if body.UseSaved {
		return c.testConnection(c.job.TenantURL, nil)
	}
	if !c.apiKey.Level.Allows(operator.Configure) {
		return refuse(http.StatusForbidden, codeForbidden, "This key may %s. Testing credentials that are not saved needs a key that may configure; useSavedCredentials tests the saved ones.", c.apiKey.Level)
	}
	return c.testGivenCredentials(body)
}

// validateNewCredentials is like validateCredentials, for an application without a job.
func (c *call) validateNewCredentials() error {
	var body credentialsBody
	if err := c.readJSON(&body, false); err != nil {
		return err
	}
	if body.TemplateID != "" {
		if _, err := c.h.findTemplate(body.TemplateID); err != nil {
			return err
		}
	}
	if body.UseSaved {
		job, err := c.h.Jobs.Get(c.r.Context(), c.key())
		if err != nil {
			return err
		}
		return c.testConnection(job.TenantURL, nil)
	}
	return c.testGivenCredentials(body)
}

// testGivenCredentials tests the connection with the credentials in a request.
func (c *call) testGivenCredentials(body credentialsBody) error {
	cred, err := readSecrets(body.Credentials)
	if err != nil {
		return err
	}
	if cred.address == nil || *cred.address == "" {
		return refuse(http.StatusBadRequest, codeMissing, "credentials has no BaseAddress.")
	}
	if cred.token == nil {
		none := ""
		cred.token = &none // never send the saved token to an address from the request
	}
	return c.testConnection(*cred.address, cred.token)
}

// testConnection tests the connection, and answers with status 204 if it works. A nil token means
// the saved one.
func (c *call) testConnection(address string, token *string) error {
	_, err := c.h.Jobs.TestConnection(c.r.Context(), c.key(), address, token)
	if target := targetErrorOf(err); target != nil {
		return refuse(http.StatusBadRequest, codeCredentials, "%s", target.Words())
	}
	if err != nil {
		return err
	}
	return c.answerNoContent()
}
