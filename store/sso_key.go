package store

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// SiteKeys returns the SAML keys of a site, the oldest first.
func (s SingleSignOn) SiteKeys(ctx context.Context, id site.ID) (keys []signin.SealedKey, err error) {
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		keys, err = siteKeys(ctx, tx, id)
		return err
	})
	return keys, err
}

// siteKeys returns the SAML keys of a site, oldest first.
func siteKeys(ctx context.Context, tx *sqldb.Tx, id site.ID) ([]signin.SealedKey, error) {
	all, err := collect(ctx, tx, scanSiteKey, `
		select site, id, certificate, sealed, state, made
		from saml_key
		where site = $1
		order by made, id`, string(id))
	keys := make([]signin.SealedKey, 0, len(all))
	for _, k := range all {
		keys = append(keys, k.SealedKey)
	}
	return keys, err
}

// AllSiteKeys returns the SAML keys of all sites.
func (s SingleSignOn) AllSiteKeys(ctx context.Context) (keys []signin.SealedSiteKey, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		keys, err = collect(ctx, tx, scanSiteKey, `
			select site, id, certificate, sealed, state, made
			from saml_key
			order by site, made, id`)
		return err
	})
	return keys, err
}

// scanSiteKey reads the columns site, id, certificate, sealed, state and made of a SAML key.
func scanSiteKey(row scanner) (signin.SealedSiteKey, error) {
	var k signin.SealedSiteKey
	var certificate, sealed string
	var made int64
	if err := row.Scan(&k.Site, &k.ID, &certificate, &sealed, &k.State, &made); err != nil {
		return k, err
	}
	k.Made = fromMicros(made)
	der, err := base64.StdEncoding.DecodeString(certificate)
	if err != nil {
		return k, fmt.Errorf("read a stored certificate: %w", err)
	}
	if k.Certificate, err = x509.ParseCertificate(der); err != nil {
		return k, fmt.Errorf("read a stored certificate: %w", err)
	}
	if k.Sealed, err = base64.StdEncoding.DecodeString(sealed); err != nil {
		return k, fmt.Errorf("read a stored key: %w", err)
	}
	return k, nil
}

// PutSiteKeys replaces the SAML keys of a site and appends the event. It returns
// signin.ErrKeysStale if the stored keys differ from before.
func (s SingleSignOn) PutSiteKeys(ctx context.Context, id site.ID, before, next []signin.SealedKey, e event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if err := lockLiveSite(ctx, tx, id); err != nil {
			return err
		}
		stored, err := siteKeys(ctx, tx, id)
		if err != nil {
			return err
		}
		same := func(a, b signin.SealedKey) bool { return a.ID == b.ID && a.State == b.State }
		if !slices.EqualFunc(stored, before, same) {
			return signin.ErrKeysStale
		}
		if _, err := tx.Exec(ctx, `
			delete from saml_key
			where site = $1`, string(id)); err != nil {
			return err
		}
		for _, k := range next {
			if _, err := tx.Exec(ctx, `
				insert into saml_key (site, id, certificate, sealed, state, made)
				values ($1, $2, $3, $4, $5, $6)`,
				string(id), k.ID, base64.StdEncoding.EncodeToString(k.Certificate.Raw), base64.StdEncoding.EncodeToString(k.Sealed), string(k.State), micros(k.Made)); err != nil {
				return err
			}
		}
		return appendEvent(ctx, tx, e)
	})
}

// ReplaceSealedKey stores a SAML key of a site that was sealed again, unless another key was stored
// in the meantime.
func (s SingleSignOn) ReplaceSealedKey(ctx context.Context, old signin.SealedSiteKey, sealed []byte) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `
			update saml_key
			set sealed = $1
			where site = $2 and id = $3 and sealed = $4`,
			base64.StdEncoding.EncodeToString(sealed), string(old.Site), old.ID, base64.StdEncoding.EncodeToString(old.Sealed))
		return err
	})
}

// AllSecrets returns the OpenID Connect client secrets of all sites.
func (s SingleSignOn) AllSecrets(ctx context.Context) (secrets []signin.SealedSecret, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		secrets, err = collect(ctx, tx, func(row scanner) (k signin.SealedSecret, err error) {
			var sealed string
			if err := row.Scan(&k.Site, &k.Issuer, &sealed); err != nil {
				return k, err
			}
			if k.Sealed, err = base64.StdEncoding.DecodeString(sealed); err != nil {
				return k, fmt.Errorf("read a stored client secret: %w", err)
			}
			return k, nil
		}, `
			select site, oidc_issuer, oidc_secret
			from saml_connection
			where oidc_secret <> ''
			order by site`)
		return err
	})
	return secrets, err
}

// ReplaceSecret stores a client secret that was sealed again, and appends the events, unless
// another secret was stored in the meantime. If sealed is empty, ReplaceSecret removes the secret.
func (s SingleSignOn) ReplaceSecret(ctx context.Context, old signin.SealedSecret, sealed []byte, events ...event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		did, err := changesRow(ctx, tx, `
			update saml_connection
			set oidc_secret = $1
			where site = $2 and oidc_secret = $3`,
			base64.StdEncoding.EncodeToString(sealed), string(old.Site), base64.StdEncoding.EncodeToString(old.Sealed))
		if err != nil || !did {
			return err
		}
		return appendEvents(ctx, tx, events)
	})
}
