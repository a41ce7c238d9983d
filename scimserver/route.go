package scimserver

import (
	"net/http"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
)

// action is a function that carries out a request and returns the answer or an error. It does not
// write to the connection.
type action func(*exchange) (answer, error)

// pathForm is the form of the path after an endpoint's name.
type pathForm int

const (
	wholeEndpoint  pathForm = iota // nothing follows the endpoint
	singleResource                 // an id follows the endpoint
	searchEndpoint                 // ".search" follows the endpoint
)

// methods maps the HTTP methods that a path allows to their actions. Any other method returns 405.
type methods = map[string]action

// resourceRoutes maps each form of path to the methods that every resource type offers there. RFC
// 7644 §3.2.
var resourceRoutes = map[pathForm]methods{
	wholeEndpoint:  {"GET": (*exchange).listResources, "POST": (*exchange).createResource},
	singleResource: {"GET": (*exchange).getResource, "PUT": (*exchange).replaceResource, "PATCH": (*exchange).patchResource, "DELETE": (*exchange).deleteResource},
	searchEndpoint: {"POST": (*exchange).searchResources},
}

// route is a path below the base URL that does not belong to one resource type, with its methods.
type route struct {
	endpoint string // the endpoint as RFC 7644 §3.2 spells it; requests may use any case
	shape    pathForm
	methods  methods
}

// routes lists all paths below the base URL that do not belong to one resource type.
var routes = []route{
	// Resources of all types at once
	{"", wholeEndpoint, methods{"GET": (*exchange).listAllTypes}},
	{".search", wholeEndpoint, methods{"POST": (*exchange).searchAllTypes}},
	{"Bulk", wholeEndpoint, methods{"POST": (*exchange).doBulk}},

	// Discovery endpoints
	{"ServiceProviderConfig", wholeEndpoint, methods{"GET": (*exchange).showConfig}},
	{"ResourceTypes", wholeEndpoint, methods{"GET": (*exchange).listResourceTypes}},
	{"ResourceTypes", singleResource, methods{"GET": (*exchange).showResourceType}},
	{"Schemas", wholeEndpoint, methods{"GET": (*exchange).listSchemas}},
	{"Schemas", singleResource, methods{"GET": (*exchange).showSchema}},

	// Endpoints that are not supported
	{"Me", wholeEndpoint, methods{"GET": refuseMe, "POST": refuseMe, "PUT": refuseMe, "PATCH": refuseMe, "DELETE": refuseMe}},
}

// route returns the action of the request. It returns 404 or 405 if there is no action.
func (x *exchange) route() (action, error) {
	p := x.place
	if p.err != nil {
		return nil, p.err
	}
	form, fits := parsePathForm(p.afterEndpoint)
	if !fits {
		return nil, unknownAddressError()
	}
	offered, name := x.resourceMethods(form)
	for _, r := range routes {
		if r.shape == form && strings.EqualFold(r.endpoint, p.endpoint) {
			offered, name = r.methods, r.endpoint
		}
	}
	if offered == nil {
		return nil, unknownAddressError()
	}
	// The access log shows the pattern instead of the path, because it must not contain ids or
	// filters.
	x.originalRequest.Pattern = basePattern + name + [...]string{wholeEndpoint: "", singleResource: "/{id}", searchEndpoint: "/.search"}[form]
	if act, ok := offered[x.method]; ok {
		return act, nil
	}
	return nil, methodNotAllowed(x.method, offered)
}

// basePattern is the beginning of the patterns that the access log shows.
const basePattern = "/c/{site}/auth/scim/v2/"

// resourceMethods returns the methods and the name of the endpoint that the request names, and sets
// x.resourceType. If the endpoint belongs to none of the site's resource types, it returns nil and
// "".
func (x *exchange) resourceMethods(form pathForm) (methods, string) {
	if x.groupsOff(x.place.endpoint) {
		return groupMethodsWhileOff[form], "Groups"
	}
	rt, ok := x.roster.Types().ByEndpoint(x.place.endpoint)
	if !ok {
		return nil, ""
	}
	x.resourceType = rt
	return resourceRoutes[form], strings.TrimPrefix(rt.Endpoint, "/")
}

// offeredTypes returns the resource types that the site offers: all types, without Group if groups
// are switched off.
func (x *exchange) offeredTypes() []*scim.ResourceType {
	all := x.roster.Types().Types()
	if x.site.Groups {
		return all
	}
	return slices.DeleteFunc(all, func(rt *scim.ResourceType) bool { return rt.ID == roster.Group })
}

// parsePathForm returns the form of a path; rest has the segments after the name of the endpoint. It
// returns false if the path has no known form.
func parsePathForm(rest []string) (pathForm, bool) {
	switch {
	case len(rest) == 0:
		return wholeEndpoint, true
	case len(rest) == 1 && strings.EqualFold(rest[0], ".search"):
		return searchEndpoint, true
	default:
		return singleResource, len(rest) == 1
	}
}

// unknownAddressError returns the 404 error for a path without a route.
func unknownAddressError() error {
	return scim.NotFound("There is nothing at this address. The Tenant URL ends in /auth/scim/v2, and /Users follows it.")
}

// methodNotAllowed returns the 405 error, with the offered methods in a header.
func methodNotAllowed(name string, offered methods) error {
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
		err:    scim.MethodNotAllowed("This address does not support %s; it supports %s.", truncate(name), list),
		header: "Allow",
		value:  list,
	}
}

// refuseMe answers a request for /Me with an error. RFC 7644 §3.11: a provisioning token does not
// stand for a user.
func refuseMe(*exchange) (answer, error) {
	return answer{}, scim.NotImplemented("/Me is not supported: a provisioning token does not belong to a user.")
}
