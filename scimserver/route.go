package scimserver

import (
	"net/http"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/roster"
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

// methods are what a place takes. A method that is not named is 405.
type methods = map[string]action

// resourceRoutes is what every type of resource takes at its endpoint, RFC 7644 §3.2.
var resourceRoutes = map[shape]methods{
	whole:  {"GET": (*exchange).list, "POST": (*exchange).create},
	single: {"GET": (*exchange).get, "PUT": (*exchange).replace, "PATCH": (*exchange).patch, "DELETE": (*exchange).remove},
	search: {"POST": (*exchange).search},
}

// route is a place that does not belong to one type of resource.
type route struct {
	endpoint string // as RFC 7644 §3.2 spells it; requests may use any letter case
	shape    shape
	methods  methods
}

// routes is everything else below the base.
var routes = []route{
	// Everything at once
	{"", whole, methods{"GET": (*exchange).listAll}},
	{".search", whole, methods{"POST": (*exchange).searchAll}},
	{"Bulk", whole, methods{"POST": (*exchange).doBulk}},

	// Discovery
	{"ServiceProviderConfig", whole, methods{"GET": (*exchange).showConfig}},
	{"ResourceTypes", whole, methods{"GET": (*exchange).listResourceTypes}},
	{"ResourceTypes", single, methods{"GET": (*exchange).showResourceType}},
	{"Schemas", whole, methods{"GET": (*exchange).listSchemas}},
	{"Schemas", single, methods{"GET": (*exchange).showSchema}},

	// Not offered
	{"Me", whole, methods{"GET": refuseMe, "POST": refuseMe, "PUT": refuseMe, "PATCH": refuseMe, "DELETE": refuseMe}},
}

// route finds what the request asks for.
func (x *exchange) route() (action, error) {
	p := x.place
	if p.bad != nil {
		return nil, p.bad
	}
	at, fits := shapeOf(p.rest)
	if !fits {
		return nil, nothingThere()
	}
	offered, name := x.resourceMethods(at)
	for _, r := range routes {
		if r.shape == at && strings.EqualFold(r.endpoint, p.endpoint) {
			offered, name = r.methods, r.endpoint
		}
	}
	if offered == nil {
		return nil, nothingThere()
	}
	// The pattern names the route in the access log, which must not hold ids or filters.
	x.outer.Pattern = basePattern + name + [...]string{whole: "", single: "/{id}", search: "/.search"}[at]
	if act, ok := offered[x.method]; ok {
		return act, nil
	}
	return nil, notAllowed(x.method, offered)
}

const basePattern = "/c/{site}/auth/scim/v2/"

// resourceMethods is what the place takes if it is that of a type of resource of the site; nil if not.
func (x *exchange) resourceMethods(at shape) (methods, string) {
	if x.groupsOff(x.place.endpoint) {
		return noGroupMethods[at], "Groups"
	}
	rt, ok := x.roster.Types().ByEndpoint(x.place.endpoint)
	if !ok {
		return nil, ""
	}
	x.rt = rt
	return resourceRoutes[at], strings.TrimPrefix(rt.Endpoint, "/")
}

// types are the types of resources that the site offers.
func (x *exchange) types() []*scim.ResourceType {
	all := x.roster.Types().Types()
	if x.site.Groups {
		return all
	}
	return slices.DeleteFunc(all, func(rt *scim.ResourceType) bool { return roster.Kind(rt.ID) == roster.Group })
}

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

func nothingThere() error {
	return scim.NotFound("There is nothing at this address. The Tenant URL ends in /auth/scim/v2, and /Users follows it.")
}

func notAllowed(name string, offered methods) error {
	var allowed []string
	for m := range offered {
		allowed = append(allowed, m)
		if m == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	slices.Sort(allowed)
	list := strings.Join(allowed, ", ")
	return &headerError{
		err:    scim.MethodNotAllowed("%s is not offered at this address, which takes %s.", clip(name), list),
		header: "Allow",
		value:  list,
	}
}

// RFC 7644 §3.11: a provisioning token stands for no user.
func refuseMe(*exchange) (answer, error) {
	return answer{}, scim.NotImplemented("/Me is not offered: a provisioning token stands for no user.")
}
