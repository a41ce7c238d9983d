// Package openidtest runs an OpenID provider in a test. The provider is that of the library
// zitadel/oidc, which the OpenID Foundation has certified. It shares no code with Rollcall. Only
// tests import this package.
//
//	New                  starts a provider on loopback, with the library's example storage
//	AddClient, AddUser   add a client or a person
//	SignIn               signs a person in as a browser does; returns the address with the answer
//	Replace, Forge       replace the provider's answers or ID tokens, for tests of attacks
//	Sign, SignWith       make ID tokens
package openidtest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// Provider is a running OpenID provider. Make it with New.
type Provider struct {
	Issuer string // the issuer, which is also the base URL of the provider

	storage *storage.Storage // the library's example storage; it reads clients and users
	handler http.Handler     // the library's provider, and the page where a person signs in

	mu      sync.Mutex // guards the fields below
	clients map[string]*storage.Client
	users   map[string]*storage.User
	// signOutAddresses holds the post-logout redirect URIs of each client.
	signOutAddresses map[string][]string
	// replacements holds the handlers that answer instead of the provider, by path.
	replacements map[string]http.HandlerFunc
	// makeToken makes the ID tokens instead of the provider; nil if the provider makes them.
	makeToken func(header, claims map[string]any) string
}

// User is a person who can sign in at the provider.
type User struct{ ID, Name, Email string }

// New starts a provider. It stops when the test ends.
func New(t testing.TB) *Provider {
	t.Helper()
	p := &Provider{clients: map[string]*storage.Client{}, users: map[string]*storage.User{}, signOutAddresses: map[string][]string{}, replacements: map[string]http.HandlerFunc{}}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.Issuer = server.URL
	p.storage = storage.NewStorageWithClients(p, p.clients)
	var key [32]byte
	rand.Read(key[:]) // rand.Read never fails
	provider, err := op.NewProvider(&op.Config{CryptoKey: key, CodeMethodS256: true}, storageWithSignOut{p.storage, p}, op.StaticIssuer(p.Issuer),
		op.WithAllowInsecure(), op.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	callback := op.AuthCallbackURL(provider)
	login := op.NewIssuerInterceptor(provider.IssuerFromRequest).HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.FormValue("authRequestID")
		if err := p.storage.CheckUsernamePassword(r.Header.Get("Test-User"), password, id); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		http.Redirect(w, r, callback(r.Context(), id), http.StatusFound)
	})
	mux := http.NewServeMux()
	mux.HandleFunc("/login/username", login)
	mux.Handle("/", provider)
	p.handler = mux
	return p
}

// password is the password of every person.
const password = "pw"

// ServeHTTP answers a request to the provider. If the test has replaced the answer or the ID
// tokens, it answers with the replacement.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	replaced, makeToken := p.replacements[r.URL.Path], p.makeToken
	p.mu.Unlock()
	switch {
	case replaced != nil:
		replaced(w, r)
	case makeToken != nil && strings.HasSuffix(r.URL.Path, "/token"):
		p.answerWithOtherToken(w, r, makeToken)
	default:
		p.handler.ServeHTTP(w, r)
	}
}

// answerWithOtherToken lets the provider answer a request for tokens. Then it replaces the ID token
// in the answer by a token that makeToken makes from the header and the claims of that ID token.
func (p *Provider) answerWithOtherToken(w http.ResponseWriter, r *http.Request, makeToken func(header, claims map[string]any) string) {
	rec := httptest.NewRecorder()
	p.handler.ServeHTTP(rec, r)
	var answer map[string]any
	body := rec.Body.Bytes()
	if rec.Code == http.StatusOK && json.Unmarshal(body, &answer) == nil {
		parts := strings.Split(answer["id_token"].(string), ".")
		answer["id_token"] = makeToken(decode(parts[0]), decode(parts[1]))
		body, _ = json.Marshal(answer) // cannot fail: it was decoded from JSON
	}
	w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
	w.WriteHeader(rec.Code)
	w.Write(body) //nolint:errcheck // fails only if the client has gone
}

// decode decodes one part of a JWT: the header or the claims.
func decode(part string) map[string]any {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		panic(err) // cannot happen: the provider made the token
	}
	var out map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		panic(err)
	}
	return out
}

// AddClient registers a client.
func (p *Provider) AddClient(id, secret string, redirects ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clients[id] = storage.WebClient(id, secret, redirects...)
}

// AllowSignOut registers the addresses to which the provider redirects after a sign-out of a
// client.
func (p *Provider) AllowSignOut(id string, addresses ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signOutAddresses[id] = addresses
}

// storageWithSignOut is the library's example storage. Its clients also have the addresses that
// AllowSignOut has registered.
type storageWithSignOut struct {
	*storage.Storage
	provider *Provider
}

// GetClientByClientID returns the client with this id.
func (s storageWithSignOut) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	c, err := s.Storage.GetClientByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	s.provider.mu.Lock()
	defer s.provider.mu.Unlock()
	return clientWithSignOut{c, s.provider.signOutAddresses[id]}, nil
}

// clientWithSignOut is a client with the addresses that AllowSignOut has registered for it.
type clientWithSignOut struct {
	op.Client
	signOutAddresses []string
}

// PostLogoutRedirectURIs returns the addresses to which the provider redirects after a sign-out.
func (c clientWithSignOut) PostLogoutRedirectURIs() []string { return c.signOutAddresses }

// AddUser adds a person.
func (p *Provider) AddUser(u User) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users[u.ID] = &storage.User{ID: u.ID, Username: u.Name, Password: password, Email: u.Email, EmailVerified: true}
}

// GetUserByID returns the person with this id; nil if there is none. The library's example storage
// calls GetUserByID, GetUserByUsername and ExampleClientID to read its users.
func (p *Provider) GetUserByID(id string) *storage.User {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.users[id]
}

// GetUserByUsername returns the person with this user name; nil if there is none.
func (p *Provider) GetUserByUsername(name string) *storage.User {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, u := range p.users {
		if u.Username == name {
			return u
		}
	}
	return nil
}

// ExampleClientID returns the id of the client that the library's example uses. No test uses that
// client.
func (p *Provider) ExampleClientID() string { return "service" }

// Replace makes the handler answer a path of the provider. If the handler is nil, the provider
// answers the path itself again.
func (p *Provider) Replace(path string, h http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replacements[path] = h
}

// Forge replaces the provider's ID tokens by tokens that f makes. f gets the header and the claims
// of the real token. If f is nil, the provider makes the ID tokens itself again.
func (p *Provider) Forge(f func(header, claims map[string]any) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.makeToken = f
}

// SignIn opens the address of a sign-in request as a browser does, and signs the person in. It
// returns the address to which the provider redirects the browser with its answer.
func (p *Provider) SignIn(t testing.TB, address, userName string) *url.URL {
	t.Helper()
	to, err := p.TrySignIn(context.WithoutCancel(t.Context()), address, userName)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// TrySignIn is like SignIn, but returns an error instead of failing the test. It returns an error
// if the provider does not redirect the browser with an answer.
func (p *Provider) TrySignIn(ctx context.Context, address, userName string) (*url.URL, error) {
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for range 5 {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Test-User", userName)
		answer, err := client.Do(r)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			return nil, err
		}
		to, err := answer.Location()
		if err != nil {
			return nil, fmt.Errorf("%s: the provider answers %d\n%s", address, answer.StatusCode, body)
		}
		if !strings.HasPrefix(to.String(), p.Issuer+"/") {
			return to, nil
		}
		address = to.String()
	}
	return nil, errors.New("the provider redirects without end")
}

// Sign makes a JWT. With the algorithm RS256, the provider's key signs it. With HS256, the
// provider's public key is misused as a shared secret. With none, the JWT has no signature.
func (p *Provider) Sign(header, claims map[string]any, algorithm string) string {
	made, err := p.storage.SigningKey(context.Background())
	if err != nil {
		panic(err) // cannot happen: the key is in memory
	}
	key := made.Key().(*rsa.PrivateKey)
	header["alg"] = algorithm
	input := encode(header) + "." + encode(claims)
	var signature []byte
	switch algorithm {
	case "RS256":
		sum := sha256.Sum256([]byte(input))
		if signature, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:]); err != nil {
			panic(err) // cannot happen: the key is long enough
		}
	case "HS256":
		der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
		if err != nil {
			panic(err)
		}
		h := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		h.Write([]byte(input))
		signature = h.Sum(nil)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// SignWith makes a JWT that another key signs. The header, which the caller copies from a real
// token, still names the provider's key.
func (p *Provider) SignWith(key *rsa.PrivateKey, header, claims map[string]any) string {
	input := encode(header) + "." + encode(claims)
	sum := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// encode encodes one part of a JWT: the header or the claims.
func encode(part map[string]any) string {
	text, err := json.Marshal(part)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}
