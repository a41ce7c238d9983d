package store

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// SingleSignOn implements signin.SSOStore.
type SingleSignOn struct{ DB *DB }

// Connection returns the connection of a site, or refusal.NotFound.
func (s SingleSignOn) Connection(ctx context.Context, id site.ID) (c signin.Connection, err error) {
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		var certificates, secret string
		var length int64
		err := tx.QueryRow(ctx, `
			select c.mode, c.idp_entity_id, c.sign_in_url, c.sign_out_url, c.certificates, c.metadata_url, c.entity_id,
				c.user_identifier, c.display_name, c.email, c.job_title, c.department, c.creates, c.unsolicited, c.session_length, c.sign_requests, c.signs_out, c.version,
				c.protocol, c.oidc_issuer, c.oidc_client_id, c.oidc_secret, c.oidc_user_identifier, c.oidc_display_name, c.oidc_email, c.oidc_job_title, c.oidc_department
			from saml_connection c
			where c.site = $1`, string(id)).
			Scan(&c.Mode, &c.Provider.EntityID, &c.Provider.SignInURL, &c.Provider.SignOutURL, &certificates, &c.MetadataURL, &c.EntityID,
				&c.Claims.UserIdentifier, &c.Claims.DisplayName, &c.Claims.Email, &c.Claims.JobTitle, &c.Claims.Department,
				&c.Creates, &c.Unsolicited, &length, &c.SignRequests, &c.SignsOut, &c.Version,
				&c.Protocol, &c.OpenID.Issuer, &c.OpenID.ClientID, &secret, &c.OpenID.Claims.UserIdentifier, &c.OpenID.Claims.DisplayName, &c.OpenID.Claims.Email,
				&c.OpenID.Claims.JobTitle, &c.OpenID.Claims.Department)
		if err != nil {
			return orNotFound(err, refusal.NotFound)
		}
		c.Length = time.Duration(length) * time.Microsecond
		if c.OpenID.Sealed, err = base64.StdEncoding.DecodeString(secret); err != nil {
			return fmt.Errorf("read a stored client secret: %w", err)
		}
		c.Provider.Certificates, err = readCertificates(certificates)
		return err
	})
	return c, err
}

// lockLiveSite locks a site's row until the transaction ends. It returns site.ErrNotFound if the
// site does not exist or was deleted.
func lockLiveSite(ctx context.Context, tx *sqldb.Tx, id site.ID) error {
	if err := holdSite(ctx, tx, id, true); err != nil {
		return err
	}
	_, err := scanSite(tx.QueryRow(ctx, `
		select `+siteColumns+`
		from site s
		where s.id = $1 and s.deleted = 0`+tx.ForUpdate(), string(id)))
	return orNotFound(err, site.ErrNotFound)
}

// PutConnection stores a change of a site's connection to an identity provider, and its events. It
// changes nothing if the stored connection no longer has the version that the change expects.
func (s SingleSignOn) PutConnection(ctx context.Context, id site.ID, change signin.ConnectionChange) error {
	c := change.Next
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if err := lockLiveSite(ctx, tx, id); err != nil {
			return err
		}
		did, err := changesRow(ctx, tx, `
			insert into saml_connection (site, mode, idp_entity_id, sign_in_url, sign_out_url, certificates, metadata_url, entity_id,
				user_identifier, display_name, email, job_title, department, creates, unsolicited, session_length, version, sign_requests, signs_out,
				protocol, oidc_issuer, oidc_client_id, oidc_secret, oidc_user_identifier, oidc_display_name, oidc_email, oidc_job_title, oidc_department)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29)
			on conflict (site) do update
			set mode = excluded.mode, idp_entity_id = excluded.idp_entity_id, sign_in_url = excluded.sign_in_url,
				sign_out_url = excluded.sign_out_url, certificates = excluded.certificates, metadata_url = excluded.metadata_url,
				entity_id = excluded.entity_id, user_identifier = excluded.user_identifier, display_name = excluded.display_name,
				email = excluded.email, job_title = excluded.job_title, department = excluded.department, creates = excluded.creates,
				unsolicited = excluded.unsolicited, session_length = excluded.session_length, version = excluded.version,
				sign_requests = excluded.sign_requests, signs_out = excluded.signs_out,
				protocol = excluded.protocol, oidc_issuer = excluded.oidc_issuer, oidc_client_id = excluded.oidc_client_id, oidc_secret = excluded.oidc_secret,
				oidc_user_identifier = excluded.oidc_user_identifier, oidc_display_name = excluded.oidc_display_name, oidc_email = excluded.oidc_email,
				oidc_job_title = excluded.oidc_job_title, oidc_department = excluded.oidc_department
			where saml_connection.version = $18`,
			string(id), string(c.Mode), c.Provider.EntityID, c.Provider.SignInURL, c.Provider.SignOutURL, writeCertificates(c.Provider.Certificates),
			c.MetadataURL, c.EntityID, c.Claims.UserIdentifier, c.Claims.DisplayName, c.Claims.Email, c.Claims.JobTitle, c.Claims.Department,
			c.Creates, c.Unsolicited, c.Length.Microseconds(), c.Version, change.IfVersion, c.SignRequests, c.SignsOut,
			string(c.Protocol), c.OpenID.Issuer, c.OpenID.ClientID, base64.StdEncoding.EncodeToString(c.OpenID.Sealed), c.OpenID.Claims.UserIdentifier,
			c.OpenID.Claims.DisplayName, c.OpenID.Claims.Email, c.OpenID.Claims.JobTitle, c.OpenID.Claims.Department)
		if err != nil {
			return err
		}
		if !did {
			return signin.ErrConnectionStale
		}
		if change.KeepsTests {
			if _, err := tx.Exec(ctx, `
				update saml_test
				set version = $1
				where site = $2 and version = $3`, c.Version, string(id), change.IfVersion); err != nil {
				return err
			}
		}
		if change.MatchesChanged {
			if _, err := tx.Exec(ctx, `
				update site
				set matches = $1
				where id = $2`, c.Matches, string(id)); err != nil {
				return err
			}
		}
		for _, e := range change.Events {
			if err := appendEvent(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// writeCertificates returns the stored form of certificates: one line of base64 for each.
func writeCertificates(all []*x509.Certificate) string {
	var lines []string
	for _, c := range all {
		lines = append(lines, base64.StdEncoding.EncodeToString(c.Raw))
	}
	return strings.Join(lines, "\n")
}

// readCertificates reads the stored form that writeCertificates returns.
func readCertificates(text string) (all []*x509.Certificate, err error) {
	for _, line := range strings.Fields(text) {
		der, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			return nil, fmt.Errorf("read a stored certificate: %w", err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("read a stored certificate: %w", err)
		}
		all = append(all, c)
	}
	return all, nil
}

// AddRequest stores a sign-in request. It deletes the site's expired requests and its records of
// expired assertions.
func (s SingleSignOn) AddRequest(ctx context.Context, id site.ID, r signin.RequestRecord) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		now := r.Expires.Add(-signin.RequestLifetime)
		if _, err := tx.Exec(ctx, forgetRequestsQuery, string(id), micros(now)); err != nil {
			return err
		}
		if err := forgetAssertions(ctx, tx, id, now); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			insert into saml_request (site, hash, request, browser, purpose, person, return_to, version, issuer, expires)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			string(id), r.Hash.String(), r.ID, r.Browser.String(), string(r.Purpose), r.Person, r.ReturnTo, r.Version, r.Issuer, micros(r.Expires))
		return err
	})
}

// TakeRequest removes a sign-in request and returns it. It returns refusal.NotFound if there is
// none or if it has expired.
func (s SingleSignOn) TakeRequest(ctx context.Context, id site.ID, hash secret.Hash, now time.Time) (r signin.RequestRecord, err error) {
	err = s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		r = signin.RequestRecord{Hash: hash}
		var expires int64
		err := tx.QueryRow(ctx, `
			delete from saml_request
			where site = $1 and hash = $2 and expires > $3
			returning request, browser, purpose, person, return_to, version, issuer, expires`, string(id), hash.String(), micros(now)).
			Scan(&r.ID, &r.Browser, &r.Purpose, &r.Person, &r.ReturnTo, &r.Version, &r.Issuer, &expires)
		if err != nil {
			return orNotFound(err, refusal.NotFound)
		}
		r.Expires = fromMicros(expires)
		return nil
	})
	return r, err
}

// FindRequest returns a request without removing it. It returns refusal.NotFound if there is none
// or if it has expired.
func (s SingleSignOn) FindRequest(ctx context.Context, id site.ID, hash secret.Hash, now time.Time) (r signin.RequestRecord, err error) {
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		r = signin.RequestRecord{Hash: hash}
		var expires int64
		err := tx.QueryRow(ctx, `
			select request, browser, purpose, person, return_to, version, issuer, expires
			from saml_request
			where site = $1 and hash = $2 and expires > $3`, string(id), hash.String(), micros(now)).
			Scan(&r.ID, &r.Browser, &r.Purpose, &r.Person, &r.ReturnTo, &r.Version, &r.Issuer, &expires)
		r.Expires = fromMicros(expires)
		return orNotFound(err, refusal.NotFound)
	})
	return r, err
}

// HasRequest reports whether a browser has sent a sign-in request that has not expired.
func (s SingleSignOn) HasRequest(ctx context.Context, id site.ID, hash, browser secret.Hash, now time.Time) (has bool, err error) {
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `
			select exists (
				select 1
				from saml_request
				where site = $1 and hash = $2 and browser = $3 and expires > $4)`, string(id), hash.String(), browser.String(), micros(now)).Scan(&has)
	})
	return has, err
}

// UseTicket uses up the request and the assertion of a sign-in, each unless it is zero. It returns
// the same errors as roster.Tx.UseTicket, and then uses up nothing.
func (s SingleSignOn) UseTicket(ctx context.Context, id site.ID, t roster.Ticket, now time.Time) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error { return useTicket(ctx, tx, id, t, now) })
}

// useTicket does what UseTicket does, in the caller's transaction.
func useTicket(ctx context.Context, tx *sqldb.Tx, id site.ID, t roster.Ticket, now time.Time) error {
	none := secret.Hash{}
	if t.Request != none {
		did, err := changesRow(ctx, tx, `
			delete from saml_request
			where site = $1 and hash = $2 and expires > $3`, string(id), t.Request.String(), micros(now))
		if err != nil {
			return err
		}
		if !did {
			return roster.ErrRequestUsed
		}
	}
	if t.Assertion == none {
		return nil
	}
	if t.Request == none {
		// AddRequest does this too. But sign-ins that begin at the identity provider have no
		// request.
		if err := forgetAssertions(ctx, tx, id, now); err != nil {
			return err
		}
	}
	did, err := changesRow(ctx, tx, `
		insert into saml_assertion (site, hash, until)
		values ($1, $2, $3)
		on conflict (site, hash) do nothing`, string(id), t.Assertion.String(), micros(t.Until))
	if err == nil && !did {
		return roster.ErrAssertionUsed
	}
	return err
}

// forgetAssertions deletes the site's records of assertions that have expired.
func forgetAssertions(ctx context.Context, tx *sqldb.Tx, id site.ID, now time.Time) error {
	_, err := tx.Exec(ctx, forgetAssertionsQuery, string(id), micros(now))
	return err
}

// The queries that delete a site's expired requests and assertions. They run with each sign-in, so
// they must read the expired rows only.
const (
	forgetRequestsQuery = `
		delete from saml_request
		where site = $1 and expires < $2`
	forgetAssertionsQuery = `
		delete from saml_assertion
		where site = $1 and until < $2`
)

// PutTest stores the result of a person's last test sign-in, with its event.
func (s SingleSignOn) PutTest(ctx context.Context, id site.ID, personID string, t signin.Test, e event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, `
			insert into saml_test (site, person, version, passed, tested, result)
			values ($1, $2, $3, $4, $5, $6)
			on conflict (site, person) do update
			set version = excluded.version, passed = excluded.passed, tested = excluded.tested, result = excluded.result`,
			string(id), personID, t.Version, t.Passed, micros(t.Time), signin.EncodeResult(t.Result)); err != nil {
			return err
		}
		return appendEvent(ctx, tx, e)
	})
}

// Test returns the result of a person's last test sign-in, or refusal.NotFound.
func (s SingleSignOn) Test(ctx context.Context, id site.ID, personID string) (t signin.Test, err error) {
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		var tested int64
		var result string
		err := tx.QueryRow(ctx, `
			select t.version, t.passed, t.tested, t.result
			from saml_test t
			where t.site = $1 and t.person = $2`, string(id), personID).Scan(&t.Version, &t.Passed, &tested, &result)
		if err != nil {
			return orNotFound(err, refusal.NotFound)
		}
		t.Time = fromMicros(tested)
		t.Result, err = signin.DecodeResult(result)
		return err
	})
	return t, err
}
