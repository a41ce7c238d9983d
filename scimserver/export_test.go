package scimserver

import (
	"time"

	"github.com/rollcall-scim/rollcall/scim"
)

// Offered lists every method and path that a site with these resource types supports, with an id
// where one belongs.
func Offered(types ...*scim.ResourceType) (requests []string) {
	add := func(path string, at pathForm, offered methods) {
		path += map[pathForm]string{wholeEndpoint: "", singleResource: "/u-1", searchEndpoint: "/.search"}[at]
		for method := range offered {
			requests = append(requests, method+" "+path)
		}
	}
	for _, r := range routes {
		add("/"+r.endpoint, r.shape, r.methods)
	}
	for _, rt := range types {
		for at, offered := range resourceRoutes {
			add(rt.Endpoint, at, offered)
		}
	}
	for at, offered := range groupMethodsWhileOff {
		add("/Groups", at, offered)
	}
	return requests
}

// SetPatience sets how long requests wait for memory.
func SetPatience(h *Handler, d time.Duration) { h.memory.patience = d }

// WaitingForMemory returns how many requests wait for memory.
func WaitingForMemory(h *Handler) int { return h.memory.openGate().Waiting() }
