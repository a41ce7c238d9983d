package signin_test

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/demoidp"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/saml"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/store"
)

// publisher publishes the metadata of an identity provider at an address.
type publisher struct {
	mu    sync.Mutex
	text  string
	fails error
	reads int
}

const metadataURL = "https://login.example.com/metadata"

func (p *publisher) publish(text string, fails error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text, p.fails = text, fails
}

func (p *publisher) read(_ context.Context, address string) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reads++; address != metadataURL {
		return nil, errors.New("there is nothing at " + address)
	}
	return []byte(p.text), p.fails
}

// count returns how often the metadata was read since the last call.
func (p *publisher) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.reads
	p.reads = 0
	return n
}

// published is a company whose identity provider publishes its metadata.
func published(t *testing.T, db *store.DB) (*company, *publisher) {
	t.Helper()
	c, p := newCompany(t, db), &publisher{}
	p.publish(c.Metadata(), nil)
	c.sso.ReadMetadata = p.read
	c.connect(t, c.site, func(n *signin.Connection) { n.MetadataURL = metadataURL })
	return c, p
}

// advance does the daily refreshes that are due.
func (c *company) advance(t *testing.T) {
	t.Helper()
	for {
		next, err := c.sso.AdvanceRefresh(c.ctx, signin.RefreshKey, 1)
		if err != nil {
			t.Fatal(err)
		}
		if next.After(c.clock()) {
			return
		}
	}
}

func (c *company) connection(t *testing.T) signin.Connection {
	t.Helper()
	n, err := c.sso.Connection(c.ctx, c.site)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// both returns metadata that announces two certificates.
func both(old, next *demoidp.Provider) string {
	one, _, _ := strings.Cut(next.Metadata(), "<SingleSignOnService")
	_, key, _ := strings.Cut(one, "<KeyDescriptor")
	return strings.Replace(old.Metadata(), "<SingleSignOnService", "<KeyDescriptor"+key+"<SingleSignOnService", 1)
}

// rolled returns the identity provider with a new key.
func rolled(t *testing.T, old *demoidp.Provider) *demoidp.Provider {
	t.Helper()
	next := *old
	if err := next.ReplaceKey(); err != nil {
		t.Fatal(err)
	}
	return &next
}

func TestMetadataIsRefreshed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c, p := published(t, db)
		old, next := c.Provider, rolled(t, c.Provider)
		signedBy := func(idp *demoidp.Provider) error {
			r := c.start(t, "")
			a := r.Answer("ada")
			a.Claims = claims("ada@acme.example", "ada@acme.example")
			encoded, err := idp.Respond(a)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.sso.Finish(c.ctx, c.site, signin.Response{SAMLResponse: encoded, RelayState: r.RelayState, Browser: browser}, session.Browser{})
			return err
		}
		certificates := func() []*x509.Certificate { return c.connection(t).Provider.Certificates }

		// Once a day, and in one process.
		c.advance(t)
		if got := p.count(); got != 1 {
			t.Errorf("the first day: read %d times", got)
		}
		c.pass(23 * time.Hour)
		c.advance(t)
		if got := p.count(); got != 0 {
			t.Errorf("23 hours later: read %d times", got)
		}
		c.pass(2 * time.Hour)
		p.publish(both(old, next), nil)
		before := c.connection(t)
		c.advance(t)
		c.advance(t)
		if got := p.count(); got != 1 || len(certificates()) != 2 {
			t.Errorf("the next day: read %d times, and %d certificates are known; want 1 and 2", got, len(certificates()))
		}
		if err := errors.Join(signedBy(old), signedBy(next)); err != nil {
			t.Errorf("while both certificates are announced: %v", err)
		}
		if got := p.count(); got != 0 {
			t.Errorf("known keys: read %d times", got)
		}
		after := c.connection(t)
		if changes := signin.Differences(before, after); len(changes) != 1 || changes[0].Name != "certificates" {
			t.Errorf("the refresh changed %+v", changes)
		}

		// A signature by an unknown key refreshes at once, and at most once in five minutes.
		third := rolled(t, next)
		p.publish(third.Metadata(), nil)
		if err := signedBy(third); err != nil {
			t.Errorf("by a new key: %v", err)
		}
		if got := p.count(); got != 1 || len(certificates()) != 3 {
			t.Errorf("by a new key: read %d times, and %d certificates are known; want 1 and 3", got, len(certificates()))
		}
		stranger := rolled(t, third)
		for range 5 {
			if got := reasonOf(signedBy(stranger)); got != string(saml.UnknownKey) {
				t.Errorf("by the key of a stranger: %s", got)
			}
		}
		if got := p.count(); got != 0 {
			t.Errorf("within five minutes: read %d times", got)
		}
		c.pass(5 * time.Minute)
		if got := reasonOf(signedBy(stranger)); got != string(saml.UnknownKey) || p.count() != 1 {
			t.Errorf("after five minutes: %s, or not read once", got)
		}

		// Nothing weaker is taken over, and nothing silently.
		const entity = "https://sts.windows.net/another/"
		same := certificates()
		for name, text := range map[string]string{
			"another identity provider": strings.ReplaceAll(stranger.Metadata(), stranger.EntityID, entity),
			"another address":           strings.ReplaceAll(third.Metadata(), third.SignInURL, "https://evil.example/saml2"),
			"an address without TLS":    strings.ReplaceAll(third.Metadata(), third.SignInURL, "http://login.example.com/saml2"),
			"no certificate":            third.Metadata()[:strings.Index(third.Metadata(), "<KeyDescriptor")] + third.Metadata()[strings.Index(third.Metadata(), "<SingleSignOnService"):],
			"no metadata":               "<html/>",
		} {
			c.pass(25 * time.Hour)
			p.publish(text, nil)
			was := c.connection(t)
			c.advance(t)
			now := c.connection(t)
			state, err := c.sso.RefreshState(c.ctx, c.site)
			if changes := signin.Differences(was, now); len(changes) > 0 || err != nil || state.Failure == "" || !slices.EqualFunc(now.Provider.Certificates, same, (*x509.Certificate).Equal) {
				t.Errorf("%s: changed %+v; the state is %+v, %v", name, changes, state, err)
			}
		}
		p.count()
		p.publish("", errors.New("it did not answer"))
		c.advance(t)
		if got := p.count(); got != 0 {
			t.Errorf("at once after a failure: read %d times", got)
		}
		c.pass(time.Hour)
		c.advance(t)
		c.pass(time.Hour)
		c.advance(t)
		if got := p.count(); got != 2 {
			t.Errorf("two hours after a failure: read %d times", got)
		}

		// An expired certificate that is no longer announced goes.
		p.publish(third.Metadata(), nil)
		c.pass(3 * 365 * 24 * time.Hour)
		c.advance(t)
		if got := certificates(); len(got) != 1 || !got[0].Equal(third.Cert) {
			t.Errorf("three years later %d certificates are known", len(got))
		}

		var refreshed, failed int
		for _, e := range c.recent(t) {
			switch e.Name {
			case event.SiteSSORefreshed:
				refreshed++
			case event.SiteSSORefreshFailed:
				failed++
			}
		}
		if refreshed != 3 || failed != 6 {
			t.Errorf("%d events of refreshes and %d of failures; want 3 and 6: a failure that goes on is one event", refreshed, failed)
		}
	})
}

// TestRolloverOfACertificateFailsNoSignIn signs a person in each second, over three processes on
// one database, while the identity provider changes its certificate: once with a time in which both
// are announced, as Entra ID does it by hand, and once without.
func TestRolloverOfACertificateFailsNoSignIn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c, p := published(t, db)
		var processes []*signin.SingleSignOn
		for range 3 {
			one := c.process()
			one.ReadMetadata = p.read
			processes = append(processes, one)
		}
		idp := c.Provider
		// signIn begins at one process and ends at another.
		signIn := func(at int) error {
			address, err := processes[at%3].Start(c.ctx, c.site, browser, "", false)
			if err != nil {
				return err
			}
			r, err := demoidp.ParseRequest(address)
			if err != nil {
				return err
			}
			a := r.Answer("ada")
			a.Claims = claims("ada@acme.example", "ada@acme.example")
			encoded, err := idp.Respond(a)
			if err != nil {
				return err
			}
			_, err = processes[(at+1)%3].Finish(c.ctx, c.site, signin.Response{SAMLResponse: encoded, RelayState: r.RelayState, Browser: browser}, session.Browser{})
			return err
		}
		if err := signIn(0); err != nil {
			t.Fatal(err)
		}
		c.advance(t)
		announced := rolled(t, idp)
		sudden := rolled(t, announced)
		for second := range 3 * 60 * 10 {
			if second%10 != 0 && second/600 != 1 { // each second of the ten minutes in which most happens
				c.pass(time.Second)
				continue
			}
			c.pass(time.Second)
			switch second {
			case 600: // both are announced
				p.publish(both(idp, announced), nil)
			case 700: // the new one signs
				idp = announced
			case 800: // the old one is withdrawn
				p.publish(announced.Metadata(), nil)
			case 1100: // the next one comes without a word, for many people at once
				p.publish(sudden.Metadata(), nil)
				idp = sudden
				var all sync.WaitGroup
				for i := range 12 {
					all.Go(func() {
						if err := signIn(i); err != nil {
							t.Errorf("person %d at the change: %v", i, err)
						}
					})
				}
				all.Wait()
			}
			if err := signIn(second); err != nil {
				t.Fatalf("second %d: %v", second, err)
			}
		}
		if got := len(c.connection(t).Provider.Certificates); got != 3 {
			t.Errorf("%d certificates are known, want 3", got)
		}
	})
}
