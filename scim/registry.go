package scim

import (
	"bytes"
	"hash/maphash"
	"slices"
	"sync"
)

// Registry holds the resource types of one site with their schemas: User and Group, with the
// extensions that the site adds, and the site's own types. A Registry never changes, so goroutines
// may share it.
type Registry struct {
	types   []*ResourceType
	schemas []*Schema
}

// standardRegistry returns the registry of a site that has no schemas of its own. It is built on
// first use.
var standardRegistry = sync.OnceValue(func() *Registry {
	return newRegistry([]*ResourceType{UserType(), GroupType()})
})

// newRegistry returns the registry with these types.
func newRegistry(types []*ResourceType) *Registry {
	g := &Registry{types: types}
	for _, rt := range types {
		eachSchema(rt, func(s *Schema) {
			if !slices.Contains(g.schemas, s) {
				g.schemas = append(g.schemas, s)
			}
		})
	}
	return g
}

// NewRegistry reads a site's document of schemas and resource types:
//
//	{
//	  "schemas":       [ schemas in the form of RFC 7643 §7 ],
//	  "resourceTypes": [ resource types in the form of RFC 7643 §6 ],
//	  "extensions":    [ {"resourceType": "User", "schema": "urn:…", "required": false} ]
//	}
//
// Each part may be left out. A nil or empty document gives the built-in User and Group.
// "extensions" adds schemas of the document to User, to Group, or to a type of the document; for
// the latter, "schemaExtensions" inside the type does the same.
//
// NewRegistry checks the whole document. Its error is a *RegistryError that lists all problems.
func NewRegistry(doc []byte) (*Registry, error) {
	if len(doc) == 0 {
		return standardRegistry(), nil
	}
	d := registryReader{schemaByURN: map[string]*Schema{}, placeBySchema: map[*Schema]string{}}
	d.readDocument(doc)
	if len(d.problems) > 0 {
		return nil, &RegistryError{Problems: d.problems}
	}
	return newRegistry(d.types), nil
}

// Types returns User, Group, and the site's own types in the order of the document.
func (g *Registry) Types() []*ResourceType { return slices.Clone(g.types) }

// Schemas returns the schemas of all types, without duplicates. The schemas of User come first.
func (g *Registry) Schemas() []*Schema { return slices.Clone(g.schemas) }

// ByName returns the type with a name, in any case. It returns false if there is none.
func (g *Registry) ByName(name TypeName) (*ResourceType, bool) {
	for _, rt := range g.types {
		if equalName(string(rt.ID), string(name)) {
			return rt, true
		}
	}
	return nil, false
}

// ByEndpoint returns the type whose endpoint is a path segment such as "Users", in any case. It
// returns false if there is none.
func (g *Registry) ByEndpoint(segment string) (*ResourceType, bool) {
	for _, rt := range g.types {
		if equalName(rt.Endpoint[1:], segment) {
			return rt, true
		}
	}
	return nil, false
}

// Schema returns the schema with a URN, in any case. It returns false if there is none.
func (g *Registry) Schema(urn string) (*Schema, bool) {
	for _, s := range g.schemas {
		if equalName(s.ID, urn) {
			return s, true
		}
	}
	return nil, false
}

// maxCachedRegistries is the largest number of registries in the cache of a Registries. If a
// further one is needed, the cache is emptied.
const maxCachedRegistries = 256

// Registries caches registries by the content of their documents. Without it, a site's own schemas
// would be parsed again for each request. The zero value is ready to use.
type Registries struct {
	mu     sync.RWMutex
	seed   maphash.Seed              // the seed for the hashes of documents
	cached map[uint64]cachedRegistry // the cached registries by the hash of their documents
}

// cachedRegistry is a registry with the document from which it was made.
type cachedRegistry struct {
	doc      []byte
	registry *Registry
}

// Get is like NewRegistry, but uses the cache. The caller must not change doc after the call.
func (c *Registries) Get(doc []byte) (*Registry, error) {
	if len(doc) == 0 {
		return standardRegistry(), nil
	}
	if g := c.find(doc); g != nil {
		return g, nil
	}
	g, err := NewRegistry(doc)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cached == nil {
		c.seed = maphash.MakeSeed()
	}
	if c.cached == nil || len(c.cached) >= maxCachedRegistries {
		c.cached = map[uint64]cachedRegistry{}
	}
	c.cached[maphash.Bytes(c.seed, doc)] = cachedRegistry{doc, g}
	return g, nil
}

// find returns the cached registry for a document, or nil.
func (c *Registries) find(doc []byte) *Registry {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.cached == nil {
		return nil
	}
	if k := c.cached[maphash.Bytes(c.seed, doc)]; bytes.Equal(k.doc, doc) {
		return k.registry
	}
	return nil
}
