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

// The discovery endpoints below announce exactly the features that this site supports.

// serviceProviderConfig is the discovery document about the supported features. RFC 7643 §5.
type serviceProviderConfig struct {
	Schemas               []string     `json:"schemas"`
	Patch                 feature      `json:"patch"`
	Bulk                  bulkConfig   `json:"bulk"`
	Filter                filterConfig `json:"filter"`
	ChangePassword        feature      `json:"changePassword"`
	Sort                  feature      `json:"sort"`
	ETag                  feature      `json:"etag"`
	Pagination            pagination   `json:"pagination"`
	AuthenticationSchemes []authScheme `json:"authenticationSchemes"`
	Meta                  meta         `json:"meta"`
}

// feature says whether a feature is supported.
type feature struct {
	Supported bool `json:"supported"`
}

// bulkConfig announces the support of bulk requests, and their limits.
type bulkConfig struct {
	Supported      bool `json:"supported"`
	MaxOperations  int  `json:"maxOperations"`
	MaxPayloadSize int  `json:"maxPayloadSize"`
}

// filterConfig announces the support of filters, and the largest number of resources on a page.
type filterConfig struct {
	Supported  bool `json:"supported"`
	MaxResults int  `json:"maxResults"`
}

// pagination announces the supported kinds of paging. RFC 9865 §4.
type pagination struct {
	Cursor                  bool   `json:"cursor"`
	Index                   bool   `json:"index"`
	DefaultPaginationMethod string `json:"defaultPaginationMethod"`
	DefaultPageSize         int    `json:"defaultPageSize"`
	MaxPageSize             int    `json:"maxPageSize"`
	CursorTimeout           int    `json:"cursorTimeout"` // for how many seconds a cursor is valid
}

// authScheme announces how clients authenticate.
type authScheme struct {
	Type        string `json:"type"`
	Name        string `json:"name"`
	Description string `json:"description"`
	SpecURI     string `json:"specUri"`
	Primary     bool   `json:"primary"`
}

// meta is the attribute meta of a discovery document.
type meta struct {
	ResourceType string `json:"resourceType"`
	Location     string `json:"location"`
}

// showConfig answers with the ServiceProviderConfig.
func (x *exchange) showConfig() (answer, error) {
	location := x.base + "/ServiceProviderConfig"
	return x.answerDiscovery(serviceProviderConfig{
		Schemas: []string{scim.ConfigURN},
		Patch:   feature{true},
		Bulk:    bulkConfig{Supported: true, MaxOperations: MaxBulkOperations, MaxPayloadSize: MaxBulkBytes},
		Filter:  filterConfig{Supported: true, MaxResults: maxCount},
		Sort:    feature{true},
		ETag:    feature{true},
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

// listResourceTypes answers with all resource types of the site.
func (x *exchange) listResourceTypes() (answer, error) {
	var all []any
	for _, rt := range x.offeredTypes() {
		text, err := x.resourceTypeJSON(rt)
		if err != nil {
			return answer{}, err
		}
		all = append(all, text)
	}
	return x.answerDiscoveryList(all...)
}

// showResourceType answers with the resource type that the path names.
func (x *exchange) showResourceType() (answer, error) {
	var names []string
	for _, rt := range x.offeredTypes() {
		if strings.EqualFold(x.resourceID(), string(rt.ID)) || strings.EqualFold(x.resourceID(), rt.Name) {
			text, err := x.resourceTypeJSON(rt)
			if err != nil {
				return answer{}, err
			}
			return x.answerDiscovery(text, x.resourceTypeLocation(rt))
		}
		names = append(names, rt.Name)
	}
	return answer{}, scim.NotFound("There is no resource type %q here; the resource types are %s.", truncate(x.resourceID()), strings.Join(names, ", "))
}

// resourceTypeJSON returns the discovery document of a resource type. The document of the type User
// says what the settings of the site allow.
func (x *exchange) resourceTypeJSON(rt *scim.ResourceType) (json.RawMessage, error) {
	offered := *rt
	if rt.ID == roster.User {
		offered.Description = describeUsers(x.site)
	}
	text, err := json.Marshal(&offered)
	if err != nil {
		return nil, fmt.Errorf("describe resource type %s: %w", rt.ID, err)
	}
	return scim.Splice(text, scim.UnstoredParts{Location: x.resourceTypeLocation(rt)}), nil
}

func (x *exchange) resourceTypeLocation(rt *scim.ResourceType) string {
	return x.base + "/ResourceTypes/" + string(rt.ID)
}

// describeUsers returns a sentence that says which methods the site accepts for users, because RFC
// 7643 has no attribute for this.
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
		text += ". " + refused[0] + " returns 501"
	default:
		text += ". POST and DELETE return 501"
	}
	if !s.Creates {
		text += "; an account is created at the first SSO sign-in"
	}
	return text
}

// protocolSchemasJSON holds the schemas of the discovery documents.
//
//go:embed protocol_schemas.json
var protocolSchemasJSON []byte

// protocolSchema is the schema of a discovery document, such as ResourceType. text is its JSON.
type protocolSchema struct {
	id   string
	text json.RawMessage
}

// protocolSchemas returns the schemas of the discovery documents themselves. RFC 7643 §8.7.2.
var protocolSchemas = sync.OnceValue(func() []protocolSchema {
	var documents []json.RawMessage
	if err := json.Unmarshal(protocolSchemasJSON, &documents); err != nil {
		panic("embedded schemas: " + err.Error()) // only a broken embedded file can cause this, never a client's input
	}
	all := make([]protocolSchema, len(documents))
	for i, text := range documents {
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

// protocolSchemaJSON returns a protocolSchema with its address.
func (x *exchange) protocolSchemaJSON(s protocolSchema) json.RawMessage {
	return scim.Splice(s.text, scim.UnstoredParts{Location: x.base + "/Schemas/" + s.id})
}

// listSchemas answers with all schemas of the site.
func (x *exchange) listSchemas() (answer, error) {
	var all []any
	for _, s := range x.offeredSchemas() {
		text, err := x.schemaJSON(s)
		if err != nil {
			return answer{}, err
		}
		all = append(all, text)
	}
	for _, s := range protocolSchemas() {
		all = append(all, x.protocolSchemaJSON(s))
	}
	return x.answerDiscoveryList(all...)
}

// showSchema answers with the schema that the path names.
func (x *exchange) showSchema() (answer, error) {
	for _, s := range x.offeredSchemas() {
		if strings.EqualFold(x.resourceID(), s.ID) {
			text, err := x.schemaJSON(s)
			if err != nil {
				return answer{}, err
			}
			return x.answerDiscovery(text, x.base+"/Schemas/"+s.ID)
		}
	}
	for _, s := range protocolSchemas() {
		if strings.EqualFold(x.resourceID(), s.id) {
			return x.answerDiscovery(x.protocolSchemaJSON(s), x.base+"/Schemas/"+s.id)
		}
	}
	return answer{}, scim.NotFound("There is no schema %q here; /Schemas lists the schemas of this site.", truncate(x.resourceID()))
}

// offeredSchemas returns the schemas of the resource types that the site offers, without
// duplicates.
//
// RFC 7643 §7: the schemas of messages, such as SearchRequest, are not listed. listSchemas adds the
// protocolSchemas to the list.
func (x *exchange) offeredSchemas() (all []*scim.Schema) {
	add := func(s *scim.Schema) {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	for _, rt := range x.offeredTypes() {
		add(rt.Schema)
		for _, e := range rt.Extensions {
			add(e.Schema)
		}
	}
	return all
}

// schemaForSite adapts a schema to this site. If groups of this site may share a name, it returns a
// copy of the group schema that says so.
//
// RFC 7643 §8.7.1: in the standard schema, the uniqueness of a group's displayName is "none".
func (x *exchange) schemaForSite(s *scim.Schema) *scim.Schema {
	if s.ID != scim.GroupURN || x.site.GroupNamesUnique() {
		return s
	}
	adapted := *s
	adapted.Attributes = slices.Clone(s.Attributes)
	for i, a := range adapted.Attributes {
		if a.Name == "displayName" {
			name := *a
			name.Uniqueness, name.Description = scim.UniquenessNone, "Name of the group."
			adapted.Attributes[i] = &name
		}
	}
	return &adapted
}

// schemaJSON returns the discovery document of a schema.
func (x *exchange) schemaJSON(s *scim.Schema) (json.RawMessage, error) {
	text, err := json.Marshal(x.schemaForSite(s))
	if err != nil {
		return nil, fmt.Errorf("describe schema %s: %w", s.ID, err)
	}
	return scim.Splice(text, scim.UnstoredParts{Location: x.base + "/Schemas/" + s.ID}), nil
}

// answerDiscoveryList builds the answer to a request for a list of discovery documents.
func (x *exchange) answerDiscoveryList(all ...any) (answer, error) {
	list := scim.ListResponse{TotalResults: len(all), StartIndex: 1, ItemsPerPage: len(all)}
	for _, v := range all {
		text, err := json.Marshal(v)
		if err != nil {
			return answer{}, fmt.Errorf("describe: %w", err)
		}
		list.Resources = append(list.Resources, text)
	}
	return x.answerDiscovery(json.RawMessage(list.Encode()), "")
}

// answerDiscovery builds the answer to a discovery request from the document v.
//
// RFC 7644 §4: discovery endpoints ignore query parameters, and answer a filter with 403.
func (x *exchange) answerDiscovery(v any, location string) (answer, error) {
	if q, err := parseQuery(x.place.query); err == nil && q.hasFilter {
		return answer{}, scim.Forbidden("A filter is not allowed on %s; read the whole list.", x.place.endpoint)
	}
	body, err := json.Marshal(v)
	if err != nil {
		return answer{}, fmt.Errorf("describe: %w", err)
	}
	x.requestRow.Sentence = "Read what this server supports"
	return answer{status: http.StatusOK, body: body, location: location}, nil
}
