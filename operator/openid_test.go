package operator_test

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/codeflow"
	"github.com/rollcall-scim/rollcall/internal/openidtest"
	"github.com/rollcall-scim/rollcall/internal/outbound"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/oidc"
	"github.com/rollcall-scim/rollcall/oidcclient"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/store"
)

const (
	ownURL  = "https://people.example.com"
	browser = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

// openIDWorld is an installation whose operators sign in at a real OpenID provider. Its clock is
// that of the provider, which has the time of day.
type openIDWorld struct {
	*world
	*operator.OpenID
	op *openidtest.Provider
}

func newOpenIDWorld(t *testing.T, db *store.DB) *openIDWorld {
	t.Helper()
	w := &openIDWorld{world: newWorld(t, db), op: openidtest.New(t)}
	w.catchUp()
	w.op.AddClient("operators", "their-secret", ownURL+operator.CallbackPath)
	for _, u := range []openidtest.User{
		{ID: "sam-1", Name: "sam@corp.example", Email: "sam@corp.example"},
		{ID: "lee-1", Name: "lee@corp.example", Email: "lee@corp.example"},
	} {
		w.op.AddUser(u)
	}
	w.OpenID = w.process(db)
	return w
}

// process is one of several servers of the installation.
func (w *openIDWorld) process(db *store.DB) *operator.OpenID {
	return &operator.OpenID{
		Operators: w.world.Operators, Requests: store.Operators{DB: db}, Providers: oidcclient.New(outbound.Options{AllowLoopback: true}, w.clock),
		Issuer: w.op.Issuer, ClientID: "operators", Secret: "their-secret", PublicURL: ownURL,
		Refused: &event.Refused{Recorder: w.events, Now: w.clock},
	}
}

// catchUp sets the clock to the time of day.
func (w *openIDWorld) catchUp() { w.pass(time.Since(w.clock())) }

// answer signs a person in at the provider, and returns the answer that the browser brings.
func (w *openIDWorld) answer(t *testing.T, address, userName string) codeflow.Answer {
	t.Helper()
	back := w.op.SignIn(t, address, userName)
	if got := back.Scheme + "://" + back.Host + back.Path; got != ownURL+operator.CallbackPath {
		t.Fatalf("the provider redirects to %s", got)
	}
	w.catchUp()
	return codeflow.Answer{Answer: oidc.ReadAnswer(back.Query()), Browser: browser}
}

func (w *openIDWorld) begin(t *testing.T) string {
	t.Helper()
	address, err := w.Start(w.ctx, browser, "/d/contoso/users", false)
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// link links an identity to the operator with this name, who signs in with a one-time link first.
func (w *openIDWorld) linkIdentity(t *testing.T, name, userName string) (operator.Finished, error) {
	t.Helper()
	s := w.redeem(t, w.link(t, name).Secret)
	address, err := w.StartLink(w.ctx, browser, s.Operator)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(address, "prompt=login") { // else people link the identity that the provider remembers
		t.Errorf("the request to link is %s", address)
	}
	return w.Finish(w.ctx, w.answer(t, address, userName), s.Secret, session.Browser{})
}

// refusedFor fails the test unless the sign-in is refused for this reason.
func (w *openIDWorld) refusedFor(t *testing.T, in codeflow.Answer, want string) error {
	t.Helper()
	got, err := w.Finish(w.ctx, in, "", session.Browser{})
	f, _ := refusal.DataOf[operator.RefusedSignIn](err)
	if err == nil || f.Reason != want || f.Reference == "" {
		t.Errorf("got %+v, %v (%+v); want the reason %s", got, err, f, want)
	}
	// Only the audit log has the reason.
	if e, ok := refusal.Find(err); ok && errors.Is(err, operator.ErrOpenIDFailed) && e.Detail != operator.ErrOpenIDFailed.Detail {
		t.Errorf("a stranger reads %q", e.Detail)
	}
	return err
}

func TestOperatorsSignInByOpenIDConnect(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newOpenIDWorld(t, db)
		// An identity that is linked to nobody opens nothing, also if its e-mail address or user
		// name is the name of an operator.
		w.redeem(t, w.link(t, "sam@corp.example").Secret)
		stranger := w.refusedFor(t, w.answer(t, w.begin(t), "sam@corp.example"), "not_linked")
		if !errors.Is(stranger, operator.ErrIdentityUnknown) || strings.Contains(stranger.Error(), "sam") || !strings.Contains(stranger.Error(), "one-time link") {
			t.Errorf("a stranger reads %q", stranger)
		}

		linked, err := w.linkIdentity(t, "sam", "sam@corp.example")
		if err != nil || linked.Purpose != operator.ToLink || linked.ReturnTo != "/d/-/account" || linked.Identity.Label() != "sam@corp.example" || linked.Session.Secret != "" {
			t.Fatalf("got %+v, %v", linked, err)
		}
		address := w.begin(t)
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if q := u.Query(); q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || q.Get("nonce") == "" || q.Get("state") == "" || q.Get("prompt") != "" {
			t.Errorf("the request is %s", address)
		}
		got, err := w.Finish(w.ctx, w.answer(t, address, "sam@corp.example"), "", session.Browser{Address: "192.0.2.1"})
		if err != nil || got.Session.Operator.Name != "sam" || got.ReturnTo != "/d/contoso/users" || got.Purpose != operator.ToSignIn {
			t.Fatalf("got %+v, %v", got, err)
		}
		if op, err := w.UseSession(w.ctx, got.Session.Secret, session.Browser{}); err != nil || op.Name != "sam" {
			t.Errorf("the session is of %+v, %v", op, err)
		}
		if all, err := w.Sessions(w.ctx, "sam", got.Session.Secret); err != nil || !slices.ContainsFunc(all, func(l operator.ListedSession) bool { return l.Own && l.From.Address == "192.0.2.1" }) {
			t.Errorf("the list of sessions does not say from where: %+v, %v", all, err)
		}
		if want := w.clock().Add(session.DefaultLength); got.Session.Expires.After(want) || got.Session.Expires.Before(want.Add(-time.Hour)) {
			t.Errorf("the session ends at %s", got.Session.Expires)
		}
		all, err := w.Identities(w.ctx, "SAM")
		if err != nil || len(all) != 1 || all[0].Subject != "sam-1" || all[0].Issuer != w.op.Issuer || all[0].Email != "sam@corp.example" || all[0].LastUsed.IsZero() || all[0].Linked.IsZero() {
			t.Fatalf("got %+v, %v", all, err)
		}

		if _, err := w.Unlink(w.ctx, "lee", all[0].ID, "cli"); !errors.Is(err, operator.ErrUnknown) {
			t.Errorf("unlinked from nobody: %v", err)
		}
		w.redeem(t, w.link(t, "lee").Secret)
		if _, err := w.Unlink(w.ctx, "lee", all[0].ID, "cli"); !errors.Is(err, operator.ErrIdentityGone) {
			t.Errorf("unlinked from another operator: %v", err)
		}
		if i, err := w.Unlink(w.ctx, "sam", all[0].ID, "cli"); err != nil || i.Subject != "sam-1" {
			t.Errorf("got %+v, %v", i, err)
		}
		w.refusedFor(t, w.answer(t, w.begin(t), "sam@corp.example"), "not_linked")

		// Whoever is removed is out, whatever the provider says, and comes back without identities.
		if _, err := w.linkIdentity(t, "sam", "sam@corp.example"); err != nil {
			t.Fatal(err)
		}
		in, err := w.Finish(w.ctx, w.answer(t, w.begin(t), "sam@corp.example"), "", session.Browser{})
		if err != nil {
			t.Fatal(err)
		}
		waiting := w.answer(t, w.begin(t), "sam@corp.example")
		if err := w.Remove(w.ctx, "sam", "cli"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.UseSession(w.ctx, in.Session.Secret, session.Browser{}); !errors.Is(err, operator.ErrNoSession) {
			t.Errorf("the session of a removed operator: %v", err)
		}
		w.refusedFor(t, waiting, "not_linked")
		w.redeem(t, w.link(t, "sam").Secret)
		if all, err := w.Identities(w.ctx, "sam"); err != nil || len(all) != 0 {
			t.Errorf("a new operator of the old name has %+v, %v", all, err)
		}

		if err := w.Refused.Flush(w.ctx); err != nil {
			t.Fatal(err)
		}
		events := strings.Join(w.story(t), "\n")
		for _, want := range []string{
			"operator.identity_linked", "operator.identity_unlinked", "operator.sign_in_refused", "sam signed in by OpenID Connect at " + w.op.Issuer,
			"(not_linked): the identity is linked to no operator; identity sam-1 of " + w.op.Issuer,
		} {
			if !strings.Contains(events, want) {
				t.Errorf("the events do not say %q:\n%s", want, events)
			}
		}
	})
}

func TestAnIdentityIsLinkedOnceAndByItsOperatorAlone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newOpenIDWorld(t, db)
		if _, err := w.linkIdentity(t, "sam", "sam@corp.example"); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"sam": "linked to your account already", "lee": "linked to another operator"} {
			if got, err := w.linkIdentity(t, name, "sam@corp.example"); !errors.Is(err, operator.ErrIdentityTaken) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %+v, %v", name, got, err)
			}
		}
		if _, err := w.linkIdentity(t, "sam", "lee@corp.example"); err != nil {
			t.Errorf("a second identity: %v", err)
		}
		if all, err := w.Identities(w.ctx, "lee"); err != nil || len(all) != 0 {
			t.Errorf("lee has %+v, %v", all, err)
		}

		// The operator who asked must be signed in in the browser that brings the answer.
		w.op.AddUser(openidtest.User{ID: "new-1", Name: "new@corp.example"})
		sam, lee := w.redeem(t, w.link(t, "sam").Secret), w.redeem(t, w.link(t, "lee").Secret)
		for name, secret := range map[string]string{"another operator": lee.Secret, "nobody": ""} {
			address, err := w.StartLink(w.ctx, browser, sam.Operator)
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Finish(w.ctx, w.answer(t, address, "new@corp.example"), secret, session.Browser{})
			if f, _ := refusal.DataOf[operator.RefusedSignIn](err); f.Reason != "other_operator" {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, name := range []string{"sam", "lee"} {
			all, err := w.Identities(w.ctx, name)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range all {
				if i.Subject == "new-1" {
					t.Errorf("%s has the identity", name)
				}
			}
		}
		// An operator who is removed between the two steps gets no identity, and none is left over.
		address, err := w.StartLink(w.ctx, browser, sam.Operator)
		if err != nil {
			t.Fatal(err)
		}
		in := w.answer(t, address, "new@corp.example")
		if err := w.Remove(w.ctx, "sam", "cli"); err != nil {
			t.Fatal(err)
		}
		if got, err := w.Finish(w.ctx, in, sam.Secret, session.Browser{}); err == nil {
			t.Errorf("got %+v", got)
		}
		if _, err := w.linkIdentity(t, "lee", "sam@corp.example"); err != nil {
			t.Errorf("the identity of a removed operator is still linked: %v", err)
		}
	})
}

func TestAnAnswerForAnOperatorCountsOnceInItsBrowser(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newOpenIDWorld(t, db)
		if _, err := w.linkIdentity(t, "sam", "sam@corp.example"); err != nil {
			t.Fatal(err)
		}
		in := w.answer(t, w.begin(t), "sam@corp.example")
		if asked, err := w.HasRequestFor(w.ctx, in); !asked || err != nil {
			t.Errorf("asked: %t, %v", asked, err)
		}
		if _, err := w.process(db).Finish(w.ctx, in, "", session.Browser{}); err != nil {
			t.Fatal(err)
		}
		w.refusedFor(t, in, "unknown_request")
		for _, other := range []string{"BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB", ""} {
			in := w.answer(t, w.begin(t), "sam@corp.example")
			in.Browser = other
			if asked, err := w.HasRequestFor(w.ctx, in); asked || err != nil {
				t.Errorf("asked in another browser: %t, %v", asked, err)
			}
			w.refusedFor(t, in, "other_browser")
			in.Browser = browser
			w.refusedFor(t, in, "unknown_request") // the first try used the state up
		}
		in = w.answer(t, w.begin(t), "sam@corp.example")
		w.pass(codeflow.RequestLifetime + time.Second)
		if asked, err := w.HasRequestFor(w.ctx, in); asked || err != nil {
			t.Errorf("asked more than ten minutes ago: %t, %v", asked, err)
		}
		w.refusedFor(t, in, "unknown_request")
		w.catchUp()

		// A stolen code with the state of another request: the verifier of PKCE differs.
		stolen, own := w.answer(t, w.begin(t), "sam@corp.example"), w.answer(t, w.begin(t), "lee@corp.example")
		own.Code = stolen.Code
		w.refusedFor(t, own, string(oidc.ProviderRefused))

		// A request to another provider than that of today.
		in = w.answer(t, w.begin(t), "sam@corp.example")
		changed := w.process(db)
		changed.Issuer = "https://login.other.example"
		if _, err := changed.Finish(w.ctx, in, "", session.Browser{}); !errors.Is(err, operator.ErrOpenIDFailed) {
			t.Errorf("after a change of the provider: %v", err)
		}
	})
}

func TestIDTokensThatOpenNoOperator(t *testing.T) {
	t.Parallel()
	w := newOpenIDWorld(t, storetest.New(t))
	if _, err := w.linkIdentity(t, "sam", "sam@corp.example"); err != nil {
		t.Fatal(err)
	}
	another, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	set := func(name string, value any) func(header, claims map[string]any) string {
		return func(header, claims map[string]any) string {
			claims[name] = value
			return w.op.Sign(header, claims, "RS256")
		}
	}
	for _, tt := range []struct {
		name, want string
		forge      func(header, claims map[string]any) string
	}{
		{"nothing changed", "", func(header, claims map[string]any) string { return w.op.Sign(header, claims, "RS256") }},
		{"nonce", "wrong_nonce", set("nonce", "another")},
		{"aud", "audience_mismatch", set("aud", "acme-client")},
		{"iss", "wrong_issuer", set("iss", "https://login.evil.example")},
		{"azp", "audience_mismatch", set("azp", "acme-client")},
		{"exp", "expired", set("exp", time.Now().Unix()-181)},
		{"another subject", "not_linked", set("sub", "lee-1")},
		{"the subject in another case", "not_linked", set("sub", "SAM-1")},
		{"no signature", "weak_algorithm", func(header, claims map[string]any) string { return w.op.Sign(header, claims, "none") }},
		{"another access token", "wrong_access_token", set("at_hash", "AAAAAAAAAAAAAAAAAAAAAA")},
		{"another key", "bad_signature", func(header, claims map[string]any) string { return w.op.SignWith(another, header, claims) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.op.Forge(tt.forge)
			in := w.answer(t, w.begin(t), "sam@corp.example")
			if tt.want != "" {
				w.refusedFor(t, in, tt.want)
				return
			}
			if _, err := w.Finish(w.ctx, in, "", session.Browser{}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAnAddressThatTheProviderHasNotVerifiedIsNotShown(t *testing.T) {
	t.Parallel()
	w := newOpenIDWorld(t, storetest.New(t))
	w.op.Forge(func(header, claims map[string]any) string {
		claims["email"], claims["email_verified"] = "kim@corp.example", false
		return w.op.Sign(header, claims, "RS256")
	})
	if got, err := w.linkIdentity(t, "sam", "sam@corp.example"); err != nil || got.Identity.Label() != "sam-1" {
		t.Errorf("got %+v, %v", got.Identity, err)
	}
}

func TestAnswersThatOpenNoOperator(t *testing.T) {
	t.Parallel()
	w := newOpenIDWorld(t, storetest.New(t))
	if _, err := w.linkIdentity(t, "sam", "sam@corp.example"); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*codeflow.Answer){
		string(oidc.WrongIssuer): func(in *codeflow.Answer) { in.Issuer = "https://login.evil.example" },
		string(oidc.ProviderRefused): func(in *codeflow.Answer) {
			in.Error, in.ErrorDescription = "access_denied", "AADSTS50105: not assigned"
		},
		string(oidc.NoCode): func(in *codeflow.Answer) { in.Code = "" },
	} {
		in := w.answer(t, w.begin(t), "sam@corp.example")
		good := in
		change(&in)
		w.refusedFor(t, in, want)
		w.refusedFor(t, good, "unknown_request") // the refused answer used the request up
	}
	if err := w.Refused.Flush(w.ctx); err != nil {
		t.Fatal(err)
	}
	if events := strings.Join(w.story(t), "\n"); !strings.Contains(events, "AADSTS50105") {
		t.Errorf("the provider's words are missing:\n%s", events)
	}
}

// A subject is that of its issuer alone. After a change of the provider, another person may have
// it.
func TestASubjectOfAnotherProviderOpensNoOperator(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newOpenIDWorld(t, db)
		if _, err := w.linkIdentity(t, "sam", "sam@corp.example"); err != nil {
			t.Fatal(err)
		}
		before, old := w.op, w.OpenID
		w.op = openidtest.New(t)
		w.op.AddClient("operators", "their-secret", ownURL+operator.CallbackPath)
		w.op.AddUser(openidtest.User{ID: "sam-1", Name: "lee@corp.example"})
		w.OpenID = w.process(db)
		w.refusedFor(t, w.answer(t, w.begin(t), "lee@corp.example"), "not_linked")
		// The other person can link it, and each opens their own account.
		if _, err := w.linkIdentity(t, "lee", "lee@corp.example"); err != nil {
			t.Fatal(err)
		}
		signedInAs := func() string {
			t.Helper()
			name := map[bool]string{true: "sam@corp.example", false: "lee@corp.example"}[w.op == before]
			got, err := w.Finish(w.ctx, w.answer(t, w.begin(t), name), "", session.Browser{})
			if err != nil {
				t.Fatal(err)
			}
			return got.Session.Operator.Name
		}
		if got := signedInAs(); got != "lee" {
			t.Errorf("at the new provider: signed in as %s", got)
		}
		w.op, w.OpenID = before, old
		if got := signedInAs(); got != "sam" {
			t.Errorf("at the old provider: signed in as %s", got)
		}
	})
}

func TestAProviderOfOperatorsChangesItsKey(t *testing.T) {
	t.Parallel()
	w := newOpenIDWorld(t, storetest.New(t))
	if _, err := w.linkIdentity(t, "sam", "sam@corp.example"); err != nil {
		t.Fatal(err)
	}
	// This server has read keys that lack the key of today.
	old := `{"keys":[{"kty":"EC","crv":"P-256","use":"sig","kid":"old","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}`
	w.op.Replace("/keys", func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte(old)) })
	w.Providers = oidcclient.New(outbound.Options{AllowLoopback: true}, w.clock)
	w.refusedFor(t, w.answer(t, w.begin(t), "sam@corp.example"), string(oidc.UnknownKey))
	w.op.Replace("/keys", nil)
	w.pass(time.Minute)
	address := w.begin(t)
	in := w.answer(t, address, "sam@corp.example")
	w.pass(time.Minute) // keys are read again once a minute
	if _, err := w.Finish(w.ctx, in, "", session.Browser{}); err != nil {
		t.Errorf("with the key of today: %v", err)
	}
}

func TestAFreshSignInOfAnOperatorAtTheProvider(t *testing.T) {
	t.Parallel()
	w := newOpenIDWorld(t, storetest.New(t))
	if _, err := w.linkIdentity(t, "sam", "sam@corp.example"); err != nil {
		t.Fatal(err)
	}
	signIn := func(renew bool, authenticated any) (operator.Finished, error) {
		t.Helper()
		w.op.Forge(func(header, claims map[string]any) string {
			claims["auth_time"] = authenticated
			if authenticated == nil {
				delete(claims, "auth_time")
			}
			return w.op.Sign(header, claims, "RS256")
		})
		address, err := w.Start(w.ctx, browser, "/d/-/account", renew)
		if err != nil {
			t.Fatal(err)
		}
		if asks := strings.Contains(address, "prompt=login") && strings.Contains(address, "max_age=0"); asks != renew {
			t.Errorf("renew is %t, and the request %s", renew, address)
		}
		return w.Finish(w.ctx, w.answer(t, address, "sam@corp.example"), "", session.Browser{})
	}
	hourAgo := time.Now().Unix() - 3600
	for name, tt := range map[string]struct {
		renew         bool
		authenticated any
		fresh         bool
		refused       string
	}{
		"signed in just now":                   {false, time.Now().Unix(), true, ""},
		"signed in an hour ago":                {false, hourAgo, false, ""},
		"the provider does not say when":       {false, nil, false, ""},
		"renewed just now":                     {true, time.Now().Unix(), true, ""},
		"renewed, and it was an hour ago":      {true, hourAgo, false, "old_sign_in"},
		"renewed, and the provider says never": {true, nil, false, "old_sign_in"},
	} {
		got, err := signIn(tt.renew, tt.authenticated)
		if f, _ := refusal.DataOf[operator.RefusedSignIn](err); f.Reason != tt.refused {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
		if err != nil {
			continue
		}
		if fresh, err := w.HasFreshSession(w.ctx, got.Session.Secret); err != nil || fresh != tt.fresh {
			t.Errorf("%s: the session is fresh: %t, %v", name, fresh, err)
		}
	}
	// A renewal counts from its answer, and a sign-in from the time at which the provider saw the
	// person.
	fiveMinutesAgo := time.Now().Unix() - 300
	for _, renew := range []bool{true, false} {
		got, err := signIn(renew, fiveMinutesAgo)
		if err != nil {
			t.Fatal(err)
		}
		w.pass(session.FreshTime - time.Minute)
		if fresh, err := w.HasFreshSession(w.ctx, got.Session.Secret); err != nil || fresh != renew {
			t.Errorf("29 minutes after a sign-in, renewed: %t: the session is fresh: %t, %v", renew, fresh, err)
		}
	}
}

func TestAProviderOfOperatorsThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	w := newOpenIDWorld(t, storetest.New(t))
	if !w.Answers() {
		t.Error("it was never asked, and does not answer")
	}
	w.op.Replace("/.well-known/openid-configuration", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) })
	if err := w.Check(w.ctx); err == nil || w.Answers() {
		t.Errorf("it is down: %v, answers: %t", err, w.Answers())
	}
	if _, err := w.Start(w.ctx, browser, "", false); !errors.Is(err, operator.ErrOpenIDSilent) || !strings.Contains(err.Error(), "one-time link") {
		t.Errorf("got %v", err)
	}
	w.op.Replace("/.well-known/openid-configuration", nil)
	w.pass(time.Minute)
	if err := w.Check(w.ctx); err != nil || !w.Answers() {
		t.Errorf("it is up again: %v, answers: %t", err, w.Answers())
	}
	w.op.Replace("/oauth/token", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) })
	w.refusedFor(t, w.answer(t, w.begin(t), "sam@corp.example"), string(oidc.ProviderFailed))
}

func TestWhereASignInOfAnOperatorLeads(t *testing.T) {
	t.Parallel()
	w := newOpenIDWorld(t, storetest.New(t))
	if _, err := w.linkIdentity(t, "sam", "sam@corp.example"); err != nil {
		t.Fatal(err)
	}
	for asked, want := range map[string]string{
		"/d/contoso/users?q=a": "/d/contoso/users?q=a", "": "/d/", "https://evil.example/d/": "/d/", "//evil.example/d/": "/d/", "/d//evil.example": "/d/", "/d/\\evil.example": "/d/",
		"/d/../c/acme/": "/d/", "/c/acme/": "/d/", "/d/%2f%2fevil.example": "/d/", "/d/-/openid/link": "/d/-/account", "/d/sign-in/x": "/d/-/account",
	} {
		address, err := w.Start(w.ctx, browser, asked, false)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := w.Finish(w.ctx, w.answer(t, address, "sam@corp.example"), "", session.Browser{}); err != nil || got.ReturnTo != want {
			t.Errorf("%q: got %q, %v; want %q", asked, got.ReturnTo, err, want)
		}
	}
}
