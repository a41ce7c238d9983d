package oidcclient_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rollcall-scim/rollcall/internal/outbound"
	"github.com/rollcall-scim/rollcall/oidc"
	"github.com/rollcall-scim/rollcall/oidcclient"
)

const (
	discoveryPath = "/.well-known/openid-configuration"
	keysPath      = "/keys"
	tokenPath     = "/token"
	userInfoPath  = "/userinfo"
)

// provider answers like an OpenID provider, unless a test replaces the answer of a path. It counts
// requests.
type provider struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	now      time.Time
	replaced map[string]http.HandlerFunc
	asked    map[string]int
	secrets  []string // token_endpoint_auth_methods_supported; nil leaves it out
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{t: t, now: time.Date(2030, 5, 1, 9, 0, 0, 0, time.UTC), replaced: map[string]http.HandlerFunc{}, asked: map[string]int{}}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1", Use: "sig", Algorithm: "ES256"}}}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked[r.URL.Path]++
		answer, secrets := p.replaced[r.URL.Path], p.secrets
		p.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		switch {
		case answer != nil:
			answer(w, r)
		case r.URL.Path == discoveryPath:
			d := map[string]any{
				"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + tokenPath, "jwks_uri": p.URL + keysPath, "userinfo_endpoint": p.URL + userInfoPath,
				"id_token_signing_alg_values_supported": []string{"ES256"},
			}
			if secrets != nil {
				d["token_endpoint_auth_methods_supported"] = secrets
			}
			_ = json.NewEncoder(w).Encode(d)
		case r.URL.Path == keysPath:
			_ = json.NewEncoder(w).Encode(keys)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *provider) clock() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *provider) pass(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}

func (p *provider) replace(path string, h http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replaced[path] = h
}

// wantAsked fails the test unless the path was requested this often.
func (p *provider) wantAsked(path string, want int) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked[path] != want {
		p.t.Errorf("%s was asked %d times, want %d", path, p.asked[path], want)
	}
}

func (p *provider) client() *oidcclient.Client {
	return oidcclient.New(outbound.Options{AllowLoopback: true}, p.clock)
}

func (p *provider) read(c *oidcclient.Client) oidc.Provider {
	p.t.Helper()
	got, err := c.Provider(p.t.Context(), p.URL)
	if err != nil {
		p.t.Fatal(err)
	}
	return got
}

// wantFailed fails the test unless err says that the provider failed, with these words.
func wantFailed(t *testing.T, err error, words string) {
	t.Helper()
	var wrong *oidc.Error
	if !errors.As(err, &wrong) || wrong.Reason != oidc.ProviderFailed || !strings.Contains(wrong.Detail, words) {
		t.Errorf("got %v; want that the provider failed: %s", err, words)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		fmt.Fprint(w, "private words of the server")
	}
}

func TestMetadataIsKeptForAnHourAndAFailureForSeconds(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	c := p.client()
	p.replace(discoveryPath, status(http.StatusBadGateway))
	for range 3 {
		_, err := c.Provider(t.Context(), p.URL)
		wantFailed(t, err, "status 502")
		if strings.Contains(err.Error(), "private words") {
			t.Errorf("the error shows the server's answer: %v", err)
		}
	}
	p.wantAsked(discoveryPath, 1)
	p.replace(discoveryPath, nil)
	p.pass(5 * time.Second)
	if got := p.read(c); got.TokenURL != p.URL+tokenPath || got.KeysURL != p.URL+keysPath || got.PostsSecret {
		t.Errorf("got %+v", got)
	}
	p.pass(time.Hour - time.Second)
	p.read(c)
	p.wantAsked(discoveryPath, 2)
	p.pass(time.Second)
	p.read(c)
	p.wantAsked(discoveryPath, 3)
}

func TestManySignInsSendOneRequest(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	c := p.client()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			// The request of one sign-in may end while others wait for its answer.
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := c.Provider(ctx, p.URL); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	p.wantAsked(discoveryPath, 1)
}

func TestKeysAreReadAgainForAnUnknownKeyOnceAMinute(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	c := p.client()
	meta := p.read(c)
	keys := func(unknown bool) error {
		_, err := c.Keys(t.Context(), meta, unknown)
		return err
	}
	for _, step := range []struct {
		pass    time.Duration
		unknown bool
		asked   int
	}{
		{0, true, 1}, {0, true, 1}, {59 * time.Second, true, 1}, {time.Second, false, 1}, {0, true, 2}, {0, true, 2}, {59 * time.Minute, false, 2}, {time.Minute, false, 3},
	} {
		p.pass(step.pass)
		if err := keys(step.unknown); err != nil {
			t.Fatal(err)
		}
		p.wantAsked(keysPath, step.asked)
	}
	p.replace(keysPath, status(http.StatusInternalServerError))
	p.pass(time.Minute)
	for range 3 {
		wantFailed(t, keys(true), "keys could not be read: it answered with status 500")
	}
	p.wantAsked(keysPath, 4)
	p.replace(keysPath, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys":[]}`) })
	p.pass(5 * time.Second)
	wantFailed(t, keys(true), "no key that can be used")
}

// everything asks a provider in each of the four ways.
func everything(t *testing.T, c *oidcclient.Client, p *provider) map[string]func() error {
	meta := oidc.Provider{Issuer: p.URL, TokenURL: p.URL + tokenPath, KeysURL: p.URL + keysPath, UserInfoURL: p.URL + userInfoPath}
	return map[string]func() error{
		discoveryPath: func() error { _, err := c.Provider(t.Context(), p.URL); return err },
		keysPath:      func() error { _, err := c.Keys(t.Context(), meta, false); return err },
		tokenPath:     func() error { _, err := c.Exchange(t.Context(), meta, oidc.CodeExchange{Code: "x"}); return err },
		userInfoPath:  func() error { _, err := c.UserInfo(t.Context(), meta, "access"); return err },
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	for path, ask := range everything(t, p.client(), p) {
		p.replace(path, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		})
		wantFailed(t, ask(), "status 307")
		p.pass(time.Minute)
	}
	p.wantAsked("/elsewhere", 0)
}

func TestAnswersOfAProviderAreBounded(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	for path, ask := range everything(t, p.client(), p) {
		p.replace(path, func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"access_token":"`+strings.Repeat("a", oidc.MaxDocument)+`"}`)
		})
		words := "larger than 256 KiB"
		if path == tokenPath {
			words = "token endpoint could not be asked"
		}
		wantFailed(t, ask(), words)
		p.pass(time.Minute)
	}
}

func TestAnswersThatBreakOffAreNotUsed(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	for path, ask := range everything(t, p.client(), p) {
		p.replace(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"issuer":`)
		})
		if err := ask(); err == nil {
			t.Errorf("%s: an answer that breaks off is used", path)
		}
		p.pass(time.Minute)
	}
}

// TestAProviderThatNeverAnswersIsGivenUp waits until the client closes the connection by itself.
func TestAProviderThatNeverAnswersIsGivenUp(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	p.replace(discoveryPath, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	_, err := p.client().Provider(t.Context(), p.URL)
	wantFailed(t, err, "it did not answer as it should")
}

func TestAddressesInsideAreNotAsked(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	strict := oidcclient.New(outbound.Options{}, p.clock)
	for path, ask := range everything(t, strict, p) {
		wantFailed(t, ask(), "this machine")
		p.wantAsked(path, 0)
		p.pass(time.Minute)
	}
	for _, issuer := range []string{"https://10.1.2.3", "https://192.168.0.1", "https://[fd00::1]", "https://169.254.169.254", "https://100.64.0.1"} {
		_, err := strict.Provider(t.Context(), issuer)
		wantFailed(t, err, "address")
	}
	// Metadata of a good provider cannot lead inside either.
	p.replace(discoveryPath, func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": p.URL, "authorization_endpoint": p.URL + "/a", "token_endpoint": "https://10.1.2.3/token", "jwks_uri": "https://169.254.169.254/keys", "userinfo_endpoint": "https://192.168.0.1/me"})
	})
	c := p.client()
	meta := p.read(c)
	_, err := c.Keys(t.Context(), meta, false)
	wantFailed(t, err, "169.254.169.254")
	_, err = c.Exchange(t.Context(), meta, oidc.CodeExchange{Code: "x"})
	wantFailed(t, err, "10.1.2.3")
	_, err = c.UserInfo(t.Context(), meta, "access")
	wantFailed(t, err, "192.168.0.1")
}

func TestIssuersThatCannotBeUsedAreNotAsked(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	for _, issuer := range []string{"http://login.example.com", p.URL + "?x=1", p.URL + discoveryPath, "https://login.microsoftonline.com/common/v2.0", "x"} {
		if _, err := p.client().Provider(t.Context(), issuer); err == nil {
			t.Errorf("%s is asked", issuer)
		}
	}
	p.wantAsked(discoveryPath, 0)
}

func TestACodeIsExchanged(t *testing.T) {
	t.Parallel()
	for name, secrets := range map[string][]string{"basic": nil, "post": {"client_secret_post"}} {
		p := newProvider(t)
		p.secrets = secrets
		c := p.client()
		meta := p.read(c)
		x := oidc.CodeExchange{Client: oidc.Client{ID: "cli ent", RedirectURL: "https://people.example.com/back"}, Secret: "sec:ret", Code: "code", Verifier: "verifier"}
		p.replace(tokenPath, func(w http.ResponseWriter, r *http.Request) {
			id, secret, basic := r.BasicAuth()
			if err := r.ParseForm(); err != nil {
				t.Error(err)
			}
			f := r.PostForm
			if f.Get("code") != "code" || f.Get("code_verifier") != "verifier" || f.Get("grant_type") != "authorization_code" || f.Get("redirect_uri") != "https://people.example.com/back" {
				t.Errorf("%s: the form is %v", name, f)
			}
			posted := f.Get("client_id") == "cli ent" && f.Get("client_secret") == "sec:ret"
			if name == "basic" && (!basic || id != "cli+ent" || secret != "sec%3Aret" || f.Has("client_secret")) || name == "post" && (basic || !posted) {
				t.Errorf("%s: the secret is sent as %q, %q and in the form %v", name, id, secret, f)
			}
			fmt.Fprint(w, `{"access_token":"access","token_type":"Bearer","id_token":"a.b.c"}`)
		})
		if got, err := c.Exchange(t.Context(), meta, x); err != nil || got != (oidc.Tokens{ID: "a.b.c", Access: "access"}) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
		p.replace(tokenPath, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"invalid_grant","error_description":"the code was used"}`)
		})
		var refused *oidc.Error
		if _, err := c.Exchange(t.Context(), meta, x); !errors.As(err, &refused) || refused.Reason != oidc.ProviderRefused || !strings.Contains(refused.Detail, "invalid_grant: the code was used") {
			t.Errorf("%s: got %v", name, err)
		}
		p.replace(tokenPath, status(http.StatusInternalServerError))
		_, err := c.Exchange(t.Context(), meta, x)
		wantFailed(t, err, "status 500")
		if strings.Contains(err.Error(), "private words") || strings.Contains(err.Error(), "sec") {
			t.Errorf("%s: the error says too much: %v", name, err)
		}
	}
}

func TestUserInfoIsReadWithTheAccessToken(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	c := p.client()
	meta := p.read(c)
	p.replace(userInfoPath, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer access" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"sub":"ada"}`)
	})
	if got, err := c.UserInfo(t.Context(), meta, "access"); err != nil || string(got) != `{"sub":"ada"}` {
		t.Errorf("got %s, %v", got, err)
	}
	_, err := c.UserInfo(t.Context(), meta, "another")
	wantFailed(t, err, "status 401")
	p.wantAsked(userInfoPath, 2)
	if got, err := c.UserInfo(t.Context(), meta, ""); got != nil || err != nil {
		t.Errorf("without an access token: %s, %v", got, err)
	}
	meta.UserInfoURL = ""
	if got, err := c.UserInfo(t.Context(), meta, "access"); got != nil || err != nil {
		t.Errorf("without an endpoint: %s, %v", got, err)
	}
	p.wantAsked(userInfoPath, 2)
}
