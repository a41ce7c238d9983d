package scimserver

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// exchange is one request of a site whose token was accepted, or one operation of a bulk request.
type exchange struct {
	*Handler
	w   http.ResponseWriter
	r   *http.Request
	ctx context.Context // the request's, with the time limit

	cancel context.CancelFunc // ends ctx

	place       place
	method      string   // HEAD is GET
	ifMatch     []string // the versions that a change was made for
	ifNoneMatch []string // the versions that the client has
	namesJSON   bool     // Accept names application/scim+json or application/json
	open        func(limit int64) (body, error)
	outer       *http.Request // as it was given to the handler: its Pattern names the route to whoever stands before

	site   site.Site
	token  site.Token
	roster *roster.Roster
	base   string // "https://…/c/acme/auth/scim/v2", for locations
	mode   scim.Mode
	rt     *scim.ResourceType // of the place; nil where it has none

	row    site.Request // the row that this request leaves in the request log
	logged bool         // it was written, with the change
	held   int          // bytes of memory that this request was let in with
}

// authenticate finds the site and the token that the request speaks for.
//
// RFC 6750 §3: without credentials the challenge names no error.
func (x *exchange) authenticate() error {
	bearer, given := bearerOf(x.r.Header)
	if !given {
		return unauthorized(`Bearer realm="SCIM"`)
	}
	var err error
	x.row.TokenLast4 = last4(bearer)
	x.site, x.token, err = x.Sites.Authenticate(x.ctx, x.place.site, bearer)
	var ended *site.EndedError
	switch {
	case errors.As(err, &ended):
		x.row.TokenID, x.row.TokenLast4 = ended.Token.ID, ended.Token.Last4
		return unauthorized(`Bearer realm="SCIM", error="invalid_token"`)
	case errors.Is(err, site.ErrUnauthorized):
		return unauthorized(`Bearer realm="SCIM", error="invalid_token"`)
	case errors.Is(err, site.ErrSCIMOff):
		x.row.TokenID = x.token.ID
		return scim.Forbidden("SCIM is switched off for this site. An administrator of the site switches it on with Enable SCIM on the page SCIM integration.")
	case err != nil:
		return err
	}
	x.row.TokenID, x.row.TokenLast4 = x.token.ID, x.token.Last4
	x.row.Site = x.site.ID
	x.act()
	x.roster = x.Rosters.Open(x.site)
	address := x.BaseURL(x.r)
	x.otherAddress(address)
	x.base = address + "/c/" + x.site.Name + "/auth/scim/v2"
	if x.site.Strict {
		x.mode = scim.Strict
	}
	return nil
}

// act notes in the contexts of the request that it comes from the token, for the events of what it does.
func (x *exchange) act() {
	who := x.token.Who().At(event.ActorIn(x.ctx))
	x.ctx = event.WithActor(x.ctx, who)
	x.r = x.r.WithContext(event.WithActor(x.r.Context(), who))
}

// otherAddress warns, once for each host, of accepted requests that came to another address than the public one, by which every location
// goes: some clients refuse a meta.location that is not where they sent their request.
func (x *exchange) otherAddress(public string) {
	_, host, found := strings.Cut(public, "://")
	shown := clip(x.r.Host)
	if !found || strings.EqualFold(host, x.r.Host) || !x.foreign.isNew(shown) {
		return
	}
	x.log().Warn("scim requests come in by another address than the public one; locations in answers go by the public one",
		"address", shown, "public", public, "hint", "make --public-url what identity providers have as the Tenant URL")
}

// foreignHosts remembers the hosts that were warned of, as many as maxForeignHosts.
type foreignHosts struct {
	mu    sync.Mutex
	named map[string]bool
}

// maxForeignHosts bounds the warnings, because a client sends whatever Host it likes.
const maxForeignHosts = 20

// isNew says whether a host is to be warned of now.
func (f *foreignHosts) isNew(host string) bool {
	host = strings.ToLower(host)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.named[host] || len(f.named) >= maxForeignHosts {
		return false
	}
	if f.named == nil {
		f.named = map[string]bool{}
	}
	f.named[host] = true
	return true
}

// unauthorized is one answer for an unknown site, and for a missing, wrong, expired or revoked token.
func unauthorized(challenge string) error {
	return &refusal{
		err: scim.Unauthorized("The token is missing, wrong, expired or revoked, or there is no such site." +
			" Copy the Tenant URL and a newly generated token from the site's page SCIM integration."),
		header: "WWW-Authenticate",
		value:  challenge,
	}
}

// RFC 9110 §11.1: the name of the scheme is case-insensitive.
func bearerOf(h http.Header) (token string, given bool) {
	values := h.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, found := strings.Cut(strings.TrimSpace(values[0]), " ")
	token = strings.TrimSpace(token)
	return token, found && strings.EqualFold(scheme, "Bearer") && token != ""
}

// last4 is what the log may show of a credential: nothing of a short one.
func last4(bearer string) string {
	if len(bearer) < 20 {
		return ""
	}
	return strings.ToValidUTF8(bearer[len(bearer)-4:], "")
}

func (x *exchange) id() string { return x.place.rest[0] }

func (x *exchange) kind() roster.Kind { return roster.Kind(x.rt.ID) }

// locationOf is the address of a resource.
//
// RFC 7643 §3.1: meta.location is absolute; it spells the endpoint as discovery does, whatever the client wrote.
func (x *exchange) locationOf(rt *scim.ResourceType, id string) string {
	return x.base + rt.Endpoint + "/" + id
}
