package apptest_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rollcall-scim/rollcall/internal/apptest"
	"github.com/rollcall-scim/rollcall/internal/demoidp"
)

// TestNoClickGetsThroughAfterADeactivation signs a person in by SAML, in two browsers that click
// without a pause, and deactivates the person as Entra ID does. No click that begins after the PATCH
// was answered may get through, at no server of the installation. The sessions must be gone from the
// database, and the row of the request log must name them.
func TestNoClickGetsThroughAfterADeactivation(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "rollcall.db")
		env := []string{"ROLLCALL_DATABASE=" + file}
		deactivations(t, env, 1, func(query string) (string, error) {
			db, err := sql.Open("sqlite", "file:"+file+"?mode=ro&_pragma=busy_timeout(10000)")
			if err != nil {
				return "", err
			}
			defer db.Close()
			var got string
			err = db.QueryRowContext(t.Context(), query).Scan(&got)
			return got, err
		})
	})
	t.Run("postgresql", func(t *testing.T) {
		t.Parallel()
		env := sharedPostgres(t)
		address, _ := strings.CutPrefix(env[0], "ROLLCALL_DATABASE=")
		deactivations(t, env, 2, func(query string) (string, error) {
			conn, err := pgx.Connect(t.Context(), address)
			if err != nil {
				return "", err
			}
			defer conn.Close(context.WithoutCancel(t.Context()))
			var got string
			err = conn.QueryRow(t.Context(), query).Scan(&got)
			return got, err
		})
	})
}

// deactivations runs the rounds of the test on servers that share a database. read reads one value
// from the database.
func deactivations(t *testing.T, env []string, servers int, read func(query string) (string, error)) {
	// All servers have the public URL of the first. Browsers send cookies to every port of a host.
	first := serve(t, env)
	all := []server{first}
	for len(all) < servers {
		p := apptest.Start(t, env, "serve", "--listen", "127.0.0.1:0", "--public-url", first.url)
		line := p.Await(t, "msg=serving")
		_, at, _ := strings.Cut(line, "address=")
		all = append(all, server{p, "http://" + strings.Fields(at)[0]})
	}
	idp, err := demoidp.New("https://login.example.com/saml2", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	apptest.Run(t, env, "site", "create", "acme", "--public-url", first.url)
	apptest.Run(t, env, "site", "set", "acme", "--enable-scim=true")
	apptest.Run(t, env, "site", "sso", "set", "acme", "--mode", "optional", "--metadata", writeFile(t, "metadata.xml", []byte(idp.Metadata())))
	token := strings.TrimSpace(apptest.Run(t, env, "token", "create", "acme"))
	patch := func(at server, id, operation string) time.Time {
		t.Helper()
		body := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + operation + `]}`
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, at.url+"/c/acme/auth/scim/v2/Users/"+id, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/scim+json")
		resp, err := http.DefaultClient.Do(r)
		answered := time.Now()
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("PATCH: %d %s, %v", resp.StatusCode, text, err)
		}
		return answered
	}
	id := ""
	// Every form in which Entra ID has deactivated people.
	for round, operation := range []string{
		`{"op":"Replace","path":"active","value":"False"}`,
		`{"op":"replace","path":"active","value":false}`,
		`{"op":"Add","path":"active","value":"False"}`,
		`{"op":"replace","value":{"active":false}}`,
	} {
		if round > 0 {
			patch(first, id, `{"op":"Replace","path":"active","value":"True"}`)
		}
		browsers := []*http.Client{signInBySAML(t, first.url, idp, "ada@acme.example"), signInBySAML(t, first.url, idp, "ada@acme.example")}
		if id == "" {
			id = scimID(t, first.url, token, "ada@acme.example")
		}
		if n, err := read("select cast(count(*) as text) from site_session where person = '" + id + "'"); err != nil || n != "2" {
			t.Fatalf("%s sessions in the database, %v", n, err)
		}
		clicks := startClicking(t, browsers, all)
		clicks.await(t, 100, func(click) bool { return true })
		answered := patch(all[round%len(all)], id, operation)
		clicks.await(t, 200, func(c click) bool { return c.began.After(answered) })
		before, after, through, took := clicks.stop(answered)
		if before == 0 || through > 0 {
			t.Errorf("%s: of %d clicks after the answer %d got through; %d got through before", operation, after, through, before)
		}
		t.Logf("round %d: %d clicks got through before, %d of %d after the PATCH was answered; %.0f clicks a second", round+1, before, through, after, float64(before+after)/took.Seconds())
		if n, err := read("select cast(count(*) as text) from site_session where person = '" + id + "'"); err != nil || n != "0" {
			t.Errorf("%s sessions are left in the database, %v", n, err)
		}
		if got, err := read("select sentence from request_log where subject = '" + id + "' order by time desc, id desc limit 1"); err != nil || got != "Deactivated · 2 sessions ended" {
			t.Errorf("the request log says %q, %v", got, err)
		}
		// Signing in again is refused too.
		if status := answerSAML(t, http.DefaultTransport, first.url, idp, "ada@acme.example", nil); status != http.StatusForbidden {
			t.Errorf("signing in again: got %d", status)
		}
	}
}

// signInBySAML returns a browser in which the person is signed in.
func signInBySAML(t *testing.T, base string, idp *demoidp.Provider, nameID string) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	t.Cleanup(transport.CloseIdleConnections)
	if status := answerSAML(t, transport, base, idp, nameID, jar); status != http.StatusSeeOther {
		t.Fatalf("the sign-in is answered with %d", status)
	}
	return &http.Client{Transport: transport, Jar: jar, CheckRedirect: stayHere}
}

func stayHere(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// answerSAML signs a person in, and returns the status of the answer to the response. A jar that is
// nil is made.
func answerSAML(t *testing.T, transport http.RoundTripper, base string, idp *demoidp.Provider, nameID string, jar http.CookieJar) int {
	t.Helper()
	if jar == nil {
		made, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		jar = made
	}
	client := &http.Client{Transport: transport, Jar: jar, CheckRedirect: stayHere}
	send := func(method, address string, form url.Values) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if form != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		return resp
	}
	started := send(http.MethodGet, base+"/c/acme/auth/saml2/login", nil)
	request, err := demoidp.ParseRequest(started.Header.Get("Location"))
	if err != nil {
		t.Fatalf("%d: %v", started.StatusCode, err)
	}
	answer := request.Answer(nameID)
	answer.Claims = []demoidp.Claim{{Name: demoidp.ClaimName, Values: []string{nameID}}}
	response, err := idp.Respond(answer)
	if err != nil {
		t.Fatal(err)
	}
	return send(http.MethodPost, request.ACS, url.Values{"SAMLResponse": {response}, "RelayState": {request.RelayState}}).StatusCode
}

// scimID returns the SCIM id of a person.
func scimID(t *testing.T, base, token, userName string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/c/acme/auth/scim/v2/Users?filter="+url.QueryEscape(`userName eq "`+userName+`"`), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var found struct {
		Resources []struct {
			ID string `json:"id"`
		} `json:"Resources"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&found); err != nil || len(found.Resources) != 1 {
		t.Fatalf("found %+v, %v", found, err)
	}
	return found.Resources[0].ID
}

// click is one request for a page of the site.
type click struct {
	began  time.Time
	status int
	err    error
}

// clicking is browsers that click without a pause.
type clicking struct {
	began time.Time
	quit  context.CancelFunc
	done  sync.WaitGroup
	mu    sync.Mutex
	all   []click
}

// startClicking makes each browser click at each server, twice at once.
func startClicking(t *testing.T, browsers []*http.Client, servers []server) *clicking {
	t.Helper()
	ctx, quit := context.WithCancel(t.Context())
	c := &clicking{began: time.Now(), quit: quit}
	for _, b := range browsers {
		for _, s := range servers {
			for range 2 {
				c.done.Go(func() {
					for ctx.Err() == nil {
						one := clickOnce(ctx, b, s.url+"/c/acme/")
						if ctx.Err() != nil {
							return
						}
						c.mu.Lock()
						c.all = append(c.all, one)
						c.mu.Unlock()
					}
				})
			}
		}
	}
	t.Cleanup(func() { quit(); c.done.Wait() })
	return c
}

func clickOnce(ctx context.Context, b *http.Client, address string) click {
	c := click{began: time.Now()}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		c.err = err
		return c
	}
	resp, err := b.Do(r)
	if err != nil {
		c.err = err
		return c
	}
	defer resp.Body.Close()
	c.status = resp.StatusCode
	_, c.err = io.Copy(io.Discard, resp.Body)
	return c
}

// await waits until so many clicks of a kind were answered.
func (c *clicking) await(t *testing.T, n int, counts func(click) bool) {
	t.Helper()
	await(t, 60*time.Second, fmt.Sprintf("%d clicks", n), func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		got := 0
		for _, one := range c.all {
			if one.err != nil || one.status != http.StatusOK && one.status != http.StatusUnauthorized {
				t.Fatalf("a click was answered with %d, %v", one.status, one.err)
			}
			if counts(one) {
				got++
			}
		}
		return got >= n
	})
}

// stop ends the clicking. It returns how many clicks got through that began before a time, how many
// began after it, and how many of these got through.
func (c *clicking) stop(at time.Time) (before, after, through int, took time.Duration) {
	c.quit()
	c.done.Wait()
	for _, one := range c.all {
		let := one.status == http.StatusOK
		switch {
		case one.began.After(at):
			after++
			if let {
				through++
			}
		case let:
			before++
		}
	}
	return before, after, through, time.Since(c.began)
}
