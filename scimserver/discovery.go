package scimserver

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// Discovery tells the truth about this site: what is announced here is offered, and what is not offered is not announced.

// RFC 7643 §5.
type config struct {
	Schemas               []string     `json:"schemas"`
	Patch                 supported    `json:"patch"`
	Bulk                  bulkConfig   `json:"bulk"`
	Filter                filterConfig `json:"filter"`
	ChangePassword        supported    `json:"changePassword"`
	Sort                  supported    `json:"sort"`
	ETag                  supported    `json:"etag"`
	Pagination            pagination   `json:"pagination"`
	AuthenticationSchemes []authScheme `json:"authenticationSchemes"`
	Meta                  meta         `json:"meta"`
}

type supported struct {
	Supported bool `json:"supported"`
}

type bulkConfig struct {
	Supported      bool `json:"supported"`
	MaxOperations  int  `json:"maxOperations"`
	MaxPayloadSize int  `json:"maxPayloadSize"`
}

type filterConfig struct {
	Supported  bool `json:"supported"`
	MaxResults int  `json:"maxResults"`
}

// RFC 9865 §4.
type pagination struct {
	Cursor                  bool   `json:"cursor"`
	Index                   bool   `json:"index"`
	DefaultPaginationMethod string `json:"defaultPaginationMethod"`
	DefaultPageSize         int    `json:"defaultPageSize"`
	MaxPageSize             int    `json:"maxPageSize"`
	CursorTimeout           int    `json:"cursorTimeout"` // seconds
}

type authScheme struct {
	Type        string `json:"type"`
	Name        string `json:"name"`
	Description string `json:"description"`
	SpecURI     string `json:"specUri"`
	Primary     bool   `json:"primary"`
}

type meta struct {
	ResourceType string `json:"resourceType"`
	Location     string `json:"location"`
}

func (x *exchange) showConfig() (answer, error) {
	location := x.base + "/ServiceProviderConfig"
	return x.discovered(config{
		Schemas: []string{scim.ConfigURN},
		Patch:   supported{true},
		Bulk:    bulkConfig{Supported: true, MaxOperations: MaxBulkOperations, MaxPayloadSize: MaxBulkBytes},
		Filter:  filterConfig{Supported: true, MaxResults: maxCount},
		Sort:    supported{true},
		ETag:    supported{true},
		Pagination: pagination{
			Cursor: true, Index: true, DefaultPaginationMethod: "index", DefaultPageSize: defaultCount, MaxPageSize: maxCount,
			CursorTimeout: int(roster.CursorTimeout.Seconds()),
		},
		AuthenticationSchemes: []authScheme{{
			Type:        "oauthbearertoken",
			Name:        "Token",
			Description: "The SCIM authorization token that an administrator of the site generates, sent as Authorization: Bearer",
			SpecURI:     "https://www.rfc-editor.org/info/rfc6750",
			Primary:     true,
		}},
		Meta: meta{"ServiceProviderConfig", location},
	}, location)
}

func (x *exchange) listResourceTypes() (answer, error) {
	var all []any
	for _, rt := range x.types() {
		text, err := x.describe(rt)
		if err != nil {
			return answer{}, err
		}
		all = append(all, text)
	}
	return x.discoveredList(all...)
}

func (x *exchange) showResourceType() (answer, error) {
	var names []string
	for _, rt := range x.types() {
		if strings.EqualFold(x.id(), rt.ID) || strings.EqualFold(x.id(), rt.Name) {
			text, err := x.describe(rt)
			if err != nil {
				return answer{}, err
			}
			return x.discovered(text, x.resourceTypeLocation(rt))
		}
		names = append(names, rt.Name)
	}
	return answer{}, scim.NotFound("There is no resource type %q here; there is %s.", clip(x.id()), strings.Join(names, ", "))
}

// describe writes a resource type as this site offers it.
func (x *exchange) describe(rt *scim.ResourceType) (json.RawMessage, error) {
	offered := *rt
	if roster.Kind(rt.ID) == roster.User {
		offered.Description = describeUsers(x.site)
	}
	text, err := json.Marshal(&offered)
	if err != nil {
		return nil, fmt.Errorf("describe resource type %s: %w", rt.ID, err)
	}
	return scim.Splice(text, scim.Added{Location: x.resourceTypeLocation(rt)}), nil
}

func (x *exchange) resourceTypeLocation(rt *scim.ResourceType) string {
	return x.base + "/ResourceTypes/" + rt.ID
}

// describeUsers says what RFC 7643 has no attribute for: which methods the site takes.
func describeUsers(s site.Site) string {
	can, refused := []string{"read"}, []string(nil)
	if s.Creates {
		can = append(can, "created")
	} else {
		refused = append(refused, "POST")
	}
	can = append(can, "updated")
	switch s.Deletes {
	case site.DeleteForGood:
		can = append(can, "deleted")
	case site.DeactivateOnDelete:
		can = append(can, "deactivated by DELETE")
	default:
		refused = append(refused, "DELETE")
	}
	last := len(can) - 1
	text := "User Account: " + strings.Join(can[:last], ", ") + " and " + can[last] + " here"
	switch len(refused) {
	case 0:
		return text
	case 1:
		text += ". " + refused[0] + " is answered 501"
	default:
		text += ". POST and DELETE are answered 501"
	}
	if !s.Creates {
		text += "; an account is created at the first SSO sign-in"
	}
	return text
}

//go:embed protocol_schemas.json
var protocolSchemasJSON []byte

// protocolSchema is the schema of what discovery answers.
type protocolSchema struct {
	id   string
	text json.RawMessage
}

// protocolSchemas are the schemas of the discovery documents themselves. RFC 7643 §8.7.2.
var protocolSchemas = sync.OnceValue(func() []protocolSchema {
	var texts []json.RawMessage
	if err := json.Unmarshal(protocolSchemasJSON, &texts); err != nil {
		panic("embedded schemas: " + err.Error()) // an impossible program, not an input
	}
	all := make([]protocolSchema, len(texts))
	for i, text := range texts {
		var head struct {
			ID string `json:"id"`
		}
		var compact bytes.Buffer
		if json.Unmarshal(text, &head) != nil || json.Compact(&compact, text) != nil {
			panic("embedded schemas: one has no id")
		}
		all[i] = protocolSchema{head.ID, compact.Bytes()}
	}
	return all
})

func (x *exchange) describeProtocolSchema(s protocolSchema) json.RawMessage {
	return scim.Splice(s.text, scim.Added{Location: x.base + "/Schemas/" + s.id})
}

func (x *exchange) listSchemas() (answer, error) {
	var all []any
	for _, s := range x.schemas() {
		text, err := x.describeSchema(s)
		if err != nil {
			return answer{}, err
		}
		all = append(all, text)
	}
	for _, s := range protocolSchemas() {
		all = append(all, x.describeProtocolSchema(s))
	}
	return x.discoveredList(all...)
}

func (x *exchange) showSchema() (answer, error) {
	for _, s := range x.schemas() {
		if strings.EqualFold(x.id(), s.ID) {
			text, err := x.describeSchema(s)
			if err != nil {
				return answer{}, err
			}
			return x.discovered(text, x.base+"/Schemas/"+s.ID)
		}
	}
	for _, s := range protocolSchemas() {
		if strings.EqualFold(x.id(), s.id) {
			return x.discovered(x.describeProtocolSchema(s), x.base+"/Schemas/"+s.id)
		}
	}
	return answer{}, scim.NotFound("There is no schema %q here; /Schemas lists those that there are.", clip(x.id()))
}

// schemas are those of the types of resources that the site offers, each once.
//
// RFC 7643 §7: resource schemas only, not those of messages. protocolSchemas are listed behind them.
func (x *exchange) schemas() (all []*scim.Schema) {
	add := func(s *scim.Schema) {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	for _, rt := range x.types() {
		add(rt.Schema)
		for _, e := range rt.Extensions {
			add(e.Schema)
		}
	}
	return all
}

// asKept is a schema as this site keeps to it: groups may share a name, or not.
//
// RFC 7643 §8.7.1: the uniqueness of a group's displayName is "none".
func (x *exchange) asKept(s *scim.Schema) *scim.Schema {
	if s.ID != scim.GroupURN || x.site.GroupNamesUnique() {
		return s
	}
	kept := *s
	kept.Attributes = slices.Clone(s.Attributes)
	for i, a := range kept.Attributes {
		if a.Name == "displayName" {
			name := *a
			name.Uniqueness, name.Description = scim.UniquenessNone, "Name of the group."
			kept.Attributes[i] = &name
		}
	}
	return &kept
}

func (x *exchange) describeSchema(s *scim.Schema) (json.RawMessage, error) {
	text, err := json.Marshal(x.asKept(s))
	if err != nil {
		return nil, fmt.Errorf("describe schema %s: %w", s.ID, err)
	}
	return scim.Splice(text, scim.Added{Location: x.base + "/Schemas/" + s.ID}), nil
}

func (x *exchange) discoveredList(all ...any) (answer, error) {
	list := scim.ListResponse{TotalResults: len(all), StartIndex: 1, ItemsPerPage: len(all)}
	for _, v := range all {
		text, err := json.Marshal(v)
		if err != nil {
			return answer{}, fmt.Errorf("describe: %w", err)
		}
		list.Resources = append(list.Resources, text)
	}
	return x.discovered(json.RawMessage(list.Encode()), "")
}

// discovered answers what a client may ask about this server.
//
// RFC 7644 §4: query parameters do not count here, and a filter is 403.
func (x *exchange) discovered(v any, location string) (answer, error) {
	if q, err := parseQuery(x.place.query); err == nil && q.hasFilter {
		return answer{}, scim.Forbidden("A filter is not allowed on %s; it is short enough to be read whole.", x.place.endpoint)
	}
	body, err := json.Marshal(v)
	if err != nil {
		return answer{}, fmt.Errorf("describe: %w", err)
	}
	x.row.Sentence = "Told what this server offers"
	return answer{status: http.StatusOK, body: body, location: location}, nil
}
