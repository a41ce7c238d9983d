package signin_test

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/seal"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/saml"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// signedBy returns which of the keys signed the request at an address; -1 if none did.
func signedBy(t *testing.T, address string, keys []signin.SiteKey) int {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if !q.Has("Signature") {
		return -1
	}
	var signed string
	for _, name := range []string{"SAMLRequest", "RelayState", "SigAlg"} {
		signed += "&" + name + "=" + url.QueryEscape(q.Get(name))
	}
	signed = signed[1:]
	signature, err := base64.StdEncoding.DecodeString(q.Get("Signature"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(signed))
	return slices.IndexFunc(keys, func(k signin.SiteKey) bool {
		return rsa.VerifyPKCS1v15(k.Certificate.PublicKey.(*rsa.PublicKey), crypto.SHA256, sum[:], signature) == nil
	})
}

func TestAKeyIsRotatedInThreeSteps(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		keys := func() []signin.SiteKey {
			all, err := c.sso.SiteKeys(c.ctx, c.site)
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		address := func() string {
			a, err := c.sso.Start(c.ctx, c.site, browser, "", false)
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		announced := func() string {
			n, err := c.sso.Connection(c.ctx, c.site)
			if err != nil {
				t.Fatal(err)
			}
			sp, err := c.sso.PublicServiceProvider(c.ctx, c.site, n)
			if err != nil {
				t.Fatal(err)
			}
			body, err := sp.Metadata()
			if err != nil {
				t.Fatal(err)
			}
			return string(body)
		}
		names := func(k signin.SiteKey) bool {
			return strings.Contains(announced(), base64.StdEncoding.EncodeToString(k.Certificate.Raw))
		}
		// signIn signs Ada in with an assertion that is encrypted for a key, as another process of
		// the server takes it.
		signIn := func(cert *x509.Certificate) error {
			r := c.start(t, "")
			a := r.Answer("ada")
			a.Claims, a.EncryptFor = claims("ada@acme.example", "ada@acme.example"), cert
			_, err := c.process().Finish(c.ctx, c.site, c.answer(t, r, a), session.Browser{})
			return err
		}

		if signedBy(t, address(), nil) != -1 || strings.Contains(address(), "Signature=") || len(keys()) != 0 {
			t.Error("a request was signed before the switch was on")
		}
		c.connect(t, c.site, func(n *signin.Connection) { n.SignRequests = true })
		first := keys()
		if len(first) != 1 || first[0].State != signin.KeyUsed || signedBy(t, address(), first) != 0 || !names(first[0]) {
			t.Fatalf("the switch made %+v", first)
		}
		if err := signIn(first[0].Certificate); err != nil {
			t.Errorf("an assertion for the key: %v", err)
		}
		if err := c.sso.UseKey(c.ctx, c.site, "admin:kim"); !errors.Is(err, signin.ErrKeyState) {
			t.Errorf("using no new key: %v", err)
		}
		if err := c.sso.RemoveOldKey(c.ctx, c.site, "admin:kim"); !errors.Is(err, signin.ErrKeyState) {
			t.Errorf("removing no old key: %v", err)
		}

		c.pass(time.Minute)
		if err := c.sso.MakeKey(c.ctx, c.site, "admin:kim"); err != nil {
			t.Fatal(err)
		}
		both := keys()
		if len(both) != 2 || both[1].State != signin.KeyAnnounced || signedBy(t, address(), both) != 0 || !names(both[0]) || !names(both[1]) {
			t.Errorf("announced: %+v; the first signs, and the metadata has both", both)
		}
		if err := c.sso.MakeKey(c.ctx, c.site, "admin:kim"); !errors.Is(err, signin.ErrKeyState) {
			t.Errorf("a third key: %v", err)
		}
		for i, k := range both {
			if err := signIn(k.Certificate); err != nil {
				t.Errorf("announced: an assertion for key %d: %v", i, err)
			}
		}

		if err := c.sso.UseKey(c.ctx, c.site, "admin:kim"); err != nil {
			t.Fatal(err)
		}
		if signedBy(t, address(), both) != 1 || names(both[0]) || !names(both[1]) {
			t.Error("used: the second key signs, and the metadata has it alone")
		}
		for i, k := range both {
			if err := signIn(k.Certificate); err != nil {
				t.Errorf("used: an assertion for key %d: %v", i, err)
			}
		}

		if err := c.sso.RemoveOldKey(c.ctx, c.site, "admin:kim"); err != nil {
			t.Fatal(err)
		}
		if err := signIn(both[1].Certificate); err != nil {
			t.Errorf("removed: an assertion for the new key: %v", err)
		}
		if err := signIn(both[0].Certificate); reasonOf(err) != string(saml.NotDecrypted) {
			t.Errorf("removed: an assertion for the old key: %v", err)
		}
		var events []string
		for _, e := range c.recent(t) {
			if strings.HasPrefix(e.Name, "site.sso_key_") {
				events = append(events, e.Name)
			}
		}
		if want := []string{event.SiteSSOKeyRemoved, event.SiteSSOKeyUsed, event.SiteSSOKeyMade, event.SiteSSOKeyMade}; !slices.Equal(events, want) {
			t.Errorf("the events are %v, want %v", events, want)
		}
	})
}

func TestAKeyOpensAtItsSiteAloneAndIsSealed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		if err := c.sso.MakeKey(c.ctx, c.site, "cli"); err != nil {
			t.Fatal(err)
		}
		all, err := c.sso.Store.AllSiteKeys(c.ctx)
		if err != nil || len(all) != 1 || all[0].Site != c.site.ID {
			t.Fatalf("got %+v, %v", all, err)
		}
		// A sealed key that is copied to another site does not open there.
		other, err := c.sites.Create(c.ctx, "other", site.Documented, "cli")
		if err != nil {
			t.Fatal(err)
		}
		c.connect(t, other, func(n *signin.Connection) { n.Mode = signin.SSOOptional })
		if err := c.sso.Store.PutSiteKeys(c.ctx, other.ID, nil, []signin.SealedKey{all[0].SealedKey}, event.Event{Time: c.clock(), Scope: event.Site(string(other.ID)), Name: event.SiteSSOKeyMade}); err != nil {
			t.Fatal(err)
		}
		if opens, sealed, err := c.process().CountOpenKeys(c.ctx); opens != 1 || sealed != 2 || err != nil {
			t.Errorf("%d of %d keys open, %v; want 1 of 2", opens, sealed, err)
		}
		// The keys are sealed again with a new key file, and a lost one is removed.
		done, lost, err := c.sso.ResealKeys(c.ctx)
		if err != nil || done != 1 || !slices.Equal(lost, []site.ID{other.ID}) {
			t.Errorf("sealed %d again, lost %v, %v", done, lost, err)
		}
		again, err := c.sso.Store.SiteKeys(c.ctx, c.site.ID)
		if err != nil || bytes.Equal(again[0].Sealed, all[0].Sealed) {
			t.Errorf("the stored key is the old one, %v", err)
		}
		if names, _, err := c.sso.DiscardLostKeys(c.ctx, "cli"); err != nil || !slices.Equal(names, []string{"other"}) {
			t.Errorf("discarded the keys of %v, %v", names, err)
		}
		if left, err := c.sso.Store.AllSiteKeys(c.ctx); err != nil || len(left) != 1 {
			t.Errorf("%d keys are left, %v", len(left), err)
		}
		// Two administrators rotate at once: one of them is told to load the page again.
		err = c.sso.Store.PutSiteKeys(c.ctx, c.site.ID, nil, nil, event.Event{Time: c.clock(), Scope: event.Site(string(c.site.ID)), Name: event.SiteSSOKeyMade})
		if !errors.Is(err, signin.ErrKeysStale) {
			t.Errorf("a stale change: %v", err)
		}
	})
}

func reasonOf(err error) string {
	f, _ := refusal.DataOf[signin.FailedSignIn](err)
	return f.Reason
}

// newSealer returns a sealer with a key file of its own.
func newSealer(t testing.TB) *seal.Sealer {
	t.Helper()
	s, _, err := seal.OpenOrCreate(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
