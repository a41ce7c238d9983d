package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/internal/demoidp"
)

const (
	signInRate    = 100    // how many people sign in each second
	scimRate      = 100    // how many SCIM requests are sent each second during the sign-ins
	signInUsers   = 10_000 // the largest number of people at the site
	signInOffices = 100    // the number of IP addresses from which people begin to sign in, each like the address of an office

	signInConnections = 64 // the number of connections over which requests of one kind are sent
)

// signInReport has the results of sign-ins on one kind of database.
type signInReport struct {
	Kind        string    // the kind of database
	Users       int       // the number of people at the site
	Alone       latencies // the latencies of sign-ins without SCIM requests
	AloneSample sample    // the processor time of the sign-ins without SCIM requests
	SignIns     latencies // the latencies of sign-ins during SCIM requests
	SCIM        latencies // the latencies of the SCIM requests during sign-ins
}

// latencies holds the time to the answer of each request. The requests are due at a fixed rate. The
// time of a request begins when it was due, even if the load generator sent it later.
type latencies []time.Duration

// quantile returns the time in milliseconds within which a share of the answers came. The share is
// a number from 0 to 1.
func (l latencies) quantile(share float64) float64 {
	if len(l) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(l))
	return float64(sorted[min(int(share*float64(len(sorted))), len(sorted)-1)].Microseconds()) / 1000
}

// measureSignIns measures sign-ins by SAML on each kind of database.
func (b *bench) measureSignIns(ctx context.Context, r *report) error {
	var errs []error
	for _, kind := range b.kinds {
		did, err := b.measureSignInsOn(ctx, kind)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", kindName(kind), err))
			continue
		}
		r.SignIns = append(r.SignIns, did)
		b.print("  %s: sign-ins p50 %.1f ms, p99 %.1f ms; SCIM beside them p50 %.1f ms, p99 %.1f ms; %.0f µs of processor time for each sign-in",
			kindName(kind), did.SignIns.quantile(0.5), did.SignIns.quantile(0.99), did.SCIM.quantile(0.5), did.SCIM.quantile(0.99), did.AloneSample.totalMicros())
	}
	return errors.Join(errs...)
}

// measureSignInsOn creates a site on one kind of database and measures sign-ins at it.
func (b *bench) measureSignInsOn(ctx context.Context, kind string) (*signInReport, error) {
	users := min(signInUsers, b.users[len(b.users)-1])
	dbURL := filepath.Join(b.dir, "sign-in.db")
	var db *postgres
	if kind == kindPostgres {
		var err error
		if db, err = b.startPostgres(ctx); err != nil {
			return nil, err
		}
		dbURL = db.url
	}
	site, err := b.newSite(ctx, dbURL)
	if err != nil {
		return nil, err
	}
	site.db = db
	idp, err := b.connectProvider(ctx, site)
	if err != nil {
		return nil, err
	}
	s, err := b.serveSite(ctx, kind+"-sign-in", site)
	if err != nil {
		return nil, err
	}
	did, err := b.signPeopleIn(ctx, s, site, idp, users)
	return did, errors.Join(err, b.stop(s))
}

// connectProvider connects the site with an identity provider that signs with RSA, as Entra ID
// does.
func (b *bench) connectProvider(ctx context.Context, site *population) (*demoidp.Provider, error) {
	idp, err := demoidp.New("https://login.example.com/saml2", time.Now)
	if err != nil {
		return nil, err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	idp.Key = key
	if idp.Cert, err = demoidp.Certificate(key, time.Now().AddDate(-1, 0, 0), time.Now().AddDate(1, 0, 0)); err != nil {
		return nil, err
	}
	file := filepath.Join(b.dir, "identity-provider.xml")
	if err := os.WriteFile(file, []byte(idp.Metadata()), 0o600); err != nil {
		return nil, err
	}
	_, err = b.runRollcall(ctx, site.url, "site", "sso", "set", siteName, "--metadata", file, "--mode", "optional", "--matches", "user-identifier")
	return idp, err
}

// signPeopleIn creates the people of the site. It measures their sign-ins, first alone and then
// together with SCIM requests.
func (b *bench) signPeopleIn(ctx context.Context, s *server, site *population, idp *demoidp.Provider, users int) (*signInReport, error) {
	if err := site.fill(ctx, s.addr, users); err != nil {
		return nil, err
	}
	if site.db != nil {
		if err := site.db.analyze(ctx); err != nil {
			return nil, err
		}
	}
	beside := int(b.signInTime.Seconds() * signInRate)
	alone := beside / 6
	before := time.Now()
	responses, err := signResponses(ctx, s.addr, idp, users, alone+beside)
	if err != nil {
		return nil, err
	}
	b.print("  %s: %s people, %s sign-in requests answered and signed in %.1f s", kindName(s.kind()), withThousandsCommas(users), withThousandsCommas(len(responses)), time.Since(before).Seconds())
	did := &signInReport{Kind: s.kind(), Users: users}
	c := &contender{Name: "sign-ins", server: s}
	c.runRound = func(ctx context.Context, _ time.Duration) (int, time.Duration, error) {
		began := time.Now()
		did.Alone, err = sendAtRate(ctx, s.addr, signInConnections, signInRate, responses[:alone], expectSignedIn)
		return len(did.Alone), time.Since(began), err
	}
	if did.AloneSample, err = b.runOnce(ctx, c, 0); err != nil {
		return nil, err
	}
	requests := site.mixedRequests(int(b.signInTime.Seconds() * scimRate))
	var failed error
	var wg sync.WaitGroup
	wg.Go(func() { did.SCIM, failed = sendAtRate(ctx, s.addr, signInConnections, scimRate, requests, expectOK) })
	did.SignIns, err = sendAtRate(ctx, s.addr, signInConnections, signInRate, responses[alone:], expectSignedIn)
	wg.Wait()
	return did, errors.Join(err, failed)
}

// kind returns the kind of the server's database: kindPostgres or kindSQLite.
func (s *server) kind() string {
	if s.database != nil {
		return kindPostgres
	}
	return kindSQLite
}

// signResponses begins n sign-ins at the site and returns the requests that post the identity
// provider's responses to the site. If the site has fewer than n people, they sign in several
// times. Their browsers have signInOffices IP addresses, because a site slows down sign-ins from an
// address that has begun many and not ended them.
func signResponses(ctx context.Context, addr string, idp *demoidp.Provider, users, n int) ([][]byte, error) {
	posts := make([][]byte, n)
	errs := make([]error, signInOffices)
	var wg sync.WaitGroup
	for office := range signInOffices {
		client := &http.Client{
			Transport:     &http.Transport{DialContext: (&net.Dialer{LocalAddr: officeAddress(office)}).DialContext},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Timeout:       answerLimit,
		}
		wg.Go(func() {
			defer client.CloseIdleConnections()
			for i := office; i < n && errs[office] == nil; i += signInOffices {
				posts[i], errs[office] = signResponse(ctx, client, addr, idp, personOf(i%users))
			}
		})
	}
	wg.Wait()
	return posts, errors.Join(errs...)
}

// officeAddress returns the IP address of an office, on loopback.
func officeAddress(office int) *net.TCPAddr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+office))}
}

// signResponse begins a person's sign-in in a new browser, and returns the request that posts the
// response of the identity provider.
func signResponse(ctx context.Context, client *http.Client, addr string, idp *demoidp.Provider, p person) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/c/"+siteName+"/auth/saml2/login", nil)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	if err := answer.Body.Close(); err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusSeeOther || len(answer.Cookies()) != 1 {
		return nil, fmt.Errorf("the sign-in begins with status %d and %d cookies", answer.StatusCode, len(answer.Cookies()))
	}
	asked, err := demoidp.ParseRequest(answer.Header.Get("Location"))
	if err != nil {
		return nil, err
	}
	a := asked.Answer(p.userName())
	a.Claims = []demoidp.Claim{
		{Name: demoidp.ClaimObjectID, Values: []string{p.objectID()}},
		{Name: demoidp.ClaimName, Values: []string{p.userName()}},
		{Name: demoidp.ClaimDisplayName, Values: []string{p.displayName()}},
		{Name: demoidp.ClaimEmail, Values: []string{p.userName()}},
	}
	response, err := idp.Respond(a)
	if err != nil {
		return nil, err
	}
	body := url.Values{"SAMLResponse": {response}, "RelayState": {asked.RelayState}}.Encode()
	cookie := answer.Cookies()[0]
	path := "/c/" + siteName + "/auth/saml2/post"
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nOrigin: https://login.example.com\r\nCookie: %s=%s\r\nUser-Agent: Mozilla/5.0\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		path, addr, cookie.Name, cookie.Value, len(body), body), nil
}

// mixedRequests returns n SCIM requests about random people: lookups as Entra ID sends them, GETs
// by id, and changes of the title.
func (s *population) mixedRequests(n int) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		at := mathrand.IntN(len(s.ids))
		switch i % 4 {
		case 0:
			all[i] = s.appendRequest(nil, http.MethodGet, "/Users/"+s.ids[at], nil)
		case 1:
			body := fmt.Appendf(nil, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"title","value":"Title %d"}]}`, i)
			all[i] = s.appendRequest(nil, http.MethodPatch, "/Users/"+s.ids[at], body)
		default:
			all[i] = s.appendRequest(nil, http.MethodGet, lookupPath(personOf(at).userName()), nil)
		}
	}
	return all
}

// expectSignedIn returns an error unless the answer is the redirect of a successful sign-in.
func expectSignedIn(status int, body []byte) error {
	if status != http.StatusSeeOther {
		return unexpectedAnswer(status, body)
	}
	return nil
}

// expectOK returns an error unless the status of the answer is 200.
func expectOK(status int, body []byte) error {
	if status != http.StatusOK {
		return unexpectedAnswer(status, body)
	}
	return nil
}

// sendAtRate sends requests at a fixed rate, even if earlier requests have no answers yet, and
// returns their latencies. There should be many connections, so that slow answers do not delay other
// requests.
func sendAtRate(ctx context.Context, addr string, connections, rate int, requests [][]byte, check func(status int, body []byte) error) (latencies, error) {
	type due struct {
		at      time.Time
		request []byte
	}
	queue := make(chan due, len(requests))
	times := make([]latencies, connections)
	_, _, err := onEachConnection(ctx, addr, connections, func() {
		go func() {
			defer close(queue)
			began := time.Now()
			for i, request := range requests {
				at := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
				if wait := time.Until(at); wait > 0 {
					time.Sleep(wait)
				}
				if ctx.Err() != nil {
					return
				}
				queue <- due{at, request}
			}
		}()
	}, func(c *conn, worker int) (int, error) {
		for d := range queue {
			status, body, err := c.send(d.request)
			if err == nil {
				err = check(status, body)
			}
			if err != nil {
				return 0, err
			}
			times[worker] = append(times[worker], time.Since(d.at))
		}
		return len(times[worker]), context.Cause(ctx)
	})
	return slices.Concat(times...), err
}
