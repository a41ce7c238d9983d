package scimserver

import (
	"net/http"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/scim"
)

// action answers a request, or says why not. It writes nothing itself.
type action func(*exchange) (answer, error)

// shape is what follows an endpoint's name in the path.
type shape int

const (
	whole  shape = iota // nothing
	single              // one id
	search              // .search
)

// route is one line of the table: a place and what each method does there.
type route struct {
	endpoint string // as RFC 7644 §3.2 spells it; requests may use any letter case
	shape    shape
	methods  map[string]action
}

// routes is everything below the base. A method that is not named is 405.
var routes = []route{
	// Users
	{"Users", whole, map[string]action{"GET": (*exchange).listUsers, "POST": (*exchange).createUser}},
	{"Users", single, map[string]action{
		"GET": (*exchange).getUser, "PUT": (*exchange).replaceUser, "PATCH": (*exchange).patchUser, "DELETE": (*exchange).deleteUser,
	}},
	{"Users", search, map[string]action{"POST": (*exchange).searchUsers}},

	// Groups: none, and none can be made
	{"Groups", whole, map[string]action{"GET": (*exchange).listGroups, "POST": (*exchange).refuseGroup}},
	{"Groups", single, map[string]action{
		"GET": (*exchange).getGroup, "PUT": (*exchange).refuseGroup, "PATCH": (*exchange).refuseGroup, "DELETE": (*exchange).refuseGroup,
	}},
	{"Groups", search, map[string]action{"POST": (*exchange).searchGroups}},

	// Everything at once: users are all there is
	{"", whole, map[string]action{"GET": (*exchange).listUsers}},
	{".search", whole, map[string]action{"POST": (*exchange).searchUsers}},

	// Discovery
	{"ServiceProviderConfig", whole, map[string]action{"GET": (*exchange).showConfig}},
	{"ResourceTypes", whole, map[string]action{"GET": (*exchange).listResourceTypes}},
	{"ResourceTypes", single, map[string]action{"GET": (*exchange).showResourceType}},
	{"Schemas", whole, map[string]action{"GET": (*exchange).listSchemas}},
	{"Schemas", single, map[string]action{"GET": (*exchange).showSchema}},

	// Not offered
	{"Me", whole, map[string]action{"GET": refuseMe, "POST": refuseMe, "PUT": refuseMe, "PATCH": refuseMe, "DELETE": refuseMe}},
	{"Bulk", whole, map[string]action{"POST": refuseBulk}},
}

// route finds what the request asks for.
func (x *exchange) route() (action, error) {
	p := x.place
	if p.bad != nil {
		return nil, p.bad
	}
	at, fits := shapeOf(p.rest)
	for _, r := range routes {
		if !fits || r.shape != at || !strings.EqualFold(r.endpoint, p.endpoint) {
			continue
		}
		x.r.Pattern = r.pattern()
		name := x.r.Method
		if name == http.MethodHead {
			name = http.MethodGet
		}
		if act, ok := r.methods[name]; ok {
			return act, nil
		}
		return nil, notAllowed(name, r.methods)
	}
	return nil, scim.NotFound("There is nothing at this address. The Tenant URL ends in /auth/scim/v2, and /Users follows it.")
}

// pattern names the route in the access log, which must not hold ids or filters.
func (r route) pattern() string {
	return basePattern + r.endpoint + [...]string{whole: "", single: "/{id}", search: "/.search"}[r.shape]
}

const basePattern = "/c/{site}/auth/scim/v2/"

func shapeOf(rest []string) (shape, bool) {
	switch {
	case len(rest) == 0:
		return whole, true
	case len(rest) == 1 && strings.EqualFold(rest[0], ".search"):
		return search, true
	default:
		return single, len(rest) == 1
	}
}

func notAllowed(name string, methods map[string]action) error {
	var allowed []string
	for m := range methods {
		allowed = append(allowed, m)
		if m == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	slices.Sort(allowed)
	list := strings.Join(allowed, ", ")
	return &refusal{
		err:    scim.MethodNotAllowed("%s is not offered at this address, which takes %s.", clip(name), list),
		header: "Allow",
		value:  list,
	}
}

// RFC 7644 §3.11: a provisioning token stands for no user.
func refuseMe(*exchange) (answer, error) {
	return answer{}, scim.NotImplemented("/Me is not offered: a provisioning token stands for no user.")
}

func refuseBulk(*exchange) (answer, error) {
	return answer{}, scim.NotImplemented("/Bulk is not offered; send each operation as a request of its own.")
}
