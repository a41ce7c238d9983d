package scimserver

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// exchange is one request while it is answered, or one operation of a bulk request.
type exchange struct {
	handler *Handler
	writer  http.ResponseWriter
	request *http.Request
	ctx     context.Context // the request's context, with the time limit

	cancel context.CancelFunc // ends ctx

	place           place
	method          string                          // the request's method, with GET in place of HEAD
	ifMatch         []string                        // values of If-Match
	ifNoneMatch     []string                        // values of If-None-Match
	acceptsJSON     bool                            // whether Accept names application/scim+json or application/json
	openBody        func(limit int64) (body, error) // returns the body after a check of its headers; at most limit bytes can be read
	originalRequest *http.Request                   // the unchanged request; outer handlers read the route from its Pattern

	site         site.Site
	token        site.Token
	roster       *roster.Roster
	base         string             // the beginning of the address of every resource, such as "https://…/c/acme/auth/scim/v2"
	mode         scim.Mode          // scim.Strict on a strict site, otherwise scim.Lenient
	resourceType *scim.ResourceType // the resource type of the endpoint; nil if the endpoint belongs to no single type

	requestRow    requestlog.Request // the row about this request for the request log
	rowWritten    bool               // whether the row has been written in the transaction of the change
	reservedBytes int                // how many bytes this request has reserved from the handler's memory
}

// authenticate finds the site and the token of the request, and sets the fields that depend on
// them. It returns 401 for a wrong token or site, and 403 while SCIM is off.
//
// RFC 6750 §3: if the request has no token, the header WWW-Authenticate of the answer names no
// error.
func (x *exchange) authenticate() error {
	bearer, given := bearerOf(x.request.Header)
	if !given {
		return unauthorized(`Bearer realm="SCIM"`)
	}
	var err error
	x.requestRow.TokenLast4 = last4(bearer)
	x.site, x.token, err = x.handler.Sites.Authenticate(x.ctx, x.place.site, bearer)
	switch {
	case errors.Is(err, refusal.Unauthorized):
		if ended, ok := refusal.DataOf[site.Token](err); ok {
			x.requestRow.TokenID, x.requestRow.TokenLast4 = ended.ID, ended.Last4
		}
		return unauthorized(`Bearer realm="SCIM", error="invalid_token"`)
	case errors.Is(err, site.ErrSCIMOff):
		x.requestRow.TokenID = x.token.ID
		return err
	case err != nil:
		return err
	}
	x.requestRow.TokenID, x.requestRow.TokenLast4 = x.token.ID, x.token.Last4
	x.requestRow.Site = x.site.ID
	x.setActor()
	x.roster = x.handler.Rosters.Open(x.site)
	address := x.handler.BaseURL(x.request)
	x.warnOfOtherAddress(address)
	x.base = address + "/c/" + x.site.Name + "/auth/scim/v2"
	if x.site.Strict {
		x.mode = scim.Strict
	}
	return nil
}

// setActor makes the token the actor of the request: the events that the request causes name the
// token.
func (x *exchange) setActor() {
	who := x.token.EventActor().At(event.ActorIn(x.ctx))
	x.ctx = event.WithActor(x.ctx, who)
	x.request = x.request.WithContext(event.WithActor(x.request.Context(), who))
}

// warnOfOtherAddress logs a warning, once for each host, if an accepted request was sent to another
// host than that of the public address. The addresses of resources in answers have the public host,
// and some clients refuse a meta.location with another host than the one that they called.
func (x *exchange) warnOfOtherAddress(public string) {
	_, host, found := strings.Cut(public, "://")
	shown := truncate(x.request.Host)
	if !found || strings.EqualFold(host, x.request.Host) || !x.handler.foreignHosts.shouldWarn(shown) {
		return
	}
	x.handler.log().Warn("scim requests arrive at an address other than the public one; locations in answers use the public one",
		"address", shown, "public", public, "hint", "set --public-url to the address in the identity providers' Tenant URL")
}

// foreignHosts remembers the hosts that warnOfOtherAddress has warned of, up to maxForeignHosts of
// them.
type foreignHosts struct {
	mu          sync.Mutex
	warnedHosts map[string]bool // the hosts in lower case
}

// maxForeignHosts is the largest number of warnings. There is a limit because a client can send any
// Host header.
const maxForeignHosts = 20

// shouldWarn reports whether to warn of a host: it returns true for the first call with the host,
// and false if there have been maxForeignHosts warnings.
func (f *foreignHosts) shouldWarn(host string) bool {
	host = strings.ToLower(host)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.warnedHosts[host] || len(f.warnedHosts) >= maxForeignHosts {
		return false
	}
	if f.warnedHosts == nil {
		f.warnedHosts = map[string]bool{}
	}
	f.warnedHosts[host] = true
	return true
}

// unauthorized returns the 401 error. challenge is the value of its header WWW-Authenticate. The
// detail is the same for an unknown site and for a missing, wrong, expired or revoked token.
func unauthorized(challenge string) error {
	return &headerError{
		err: scim.Unauthorized("The token is missing, wrong, expired or revoked, or there is no such site." +
			" Copy the Tenant URL and a newly generated token from the site's page SCIM integration."),
		header: "WWW-Authenticate",
		value:  challenge,
	}
}

// bearerOf returns the bearer token of a request. given is false unless the request has exactly one
// Authorization header with a bearer token.
//
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

// last4 returns the last four characters of a credential, which the log may show. For a credential
// of fewer than 20 bytes it returns "".
func last4(bearer string) string {
	if len(bearer) < 20 {
		return ""
	}
	return strings.ToValidUTF8(bearer[len(bearer)-4:], "")
}

// resourceID returns the id in the path of a request about one resource.
func (x *exchange) resourceID() string { return x.place.afterEndpoint[0] }

// kind returns the name of the endpoint's resource type, such as "User".
func (x *exchange) kind() scim.TypeName { return x.resourceType.ID }

// locationOf returns the absolute URL of a resource.
//
// RFC 7643 §3.1: meta.location is absolute. The URL has the endpoint in the spelling of discovery,
// not in the client's spelling.
func (x *exchange) locationOf(rt *scim.ResourceType, id string) string {
	return x.base + rt.Endpoint + "/" + id
}
