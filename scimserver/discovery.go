package scimserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

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

// RFC 7643 §6.
type resourceType struct {
	Schemas          []string          `json:"schemas"`
	ID               string            `json:"id"`
	Name             string            `json:"name"`
	Endpoint         string            `json:"endpoint"`
	Description      string            `json:"description"`
	Schema           string            `json:"schema"`
	SchemaExtensions []schemaExtension `json:"schemaExtensions,omitempty"`
	Meta             meta              `json:"meta"`
}

type schemaExtension struct {
	Schema   string `json:"schema"`
	Required bool   `json:"required"`
}

func (x *exchange) showConfig() (answer, error) {
	location := x.base + "/ServiceProviderConfig"
	return x.discovered(config{
		Schemas:    []string{scim.ConfigURN},
		Patch:      supported{true},
		Filter:     filterConfig{Supported: true, MaxResults: maxCount},
		ETag:       supported{true},
		Pagination: pagination{Index: true, DefaultPaginationMethod: "index", DefaultPageSize: defaultCount, MaxPageSize: maxCount},
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
	return x.discoveredList(x.describe(x.userType()))
}

func (x *exchange) showResourceType() (answer, error) {
	rt := x.userType()
	if !strings.EqualFold(x.id(), rt.ID) {
		return answer{}, scim.NotFound("There is no resource type %q here; %s is the only one.", clip(x.id()), rt.ID)
	}
	d := x.describe(rt)
	return x.discovered(d, d.Meta.Location)
}

func (x *exchange) describe(rt *scim.ResourceType) resourceType {
	d := resourceType{
		Schemas:     []string{scim.ResourceTypeURN},
		ID:          rt.ID,
		Name:        rt.Name,
		Endpoint:    rt.Endpoint,
		Description: describeUsers(x.site.Profile),
		Schema:      rt.Schema.ID,
		Meta:        meta{"ResourceType", x.base + "/ResourceTypes/" + rt.ID},
	}
	for _, e := range rt.Extensions {
		d.SchemaExtensions = append(d.SchemaExtensions, schemaExtension{e.Schema.ID, e.Required})
	}
	return d
}

// describeUsers says what RFC 7643 has no attribute for: which methods the site takes.
func describeUsers(p site.Profile) string {
	if p == site.Full {
		return "User Account: read, created, updated and deleted here"
	}
	return "User Account: read and updated here. POST and DELETE are answered 501; an account is created at the first SSO sign-in"
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
	return answer{}, scim.NotFound("There is no schema %q here; /Schemas lists those that there are.", clip(x.id()))
}

// RFC 7643 §7: resource schemas only, not those of messages.
func (x *exchange) schemas() []*scim.Schema {
	rt := x.userType()
	all := []*scim.Schema{rt.Schema}
	for _, e := range rt.Extensions {
		all = append(all, e.Schema)
	}
	return all
}

func (x *exchange) describeSchema(s *scim.Schema) (json.RawMessage, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("describe schema %s: %w", s.ID, err)
	}
	where, err := json.Marshal(meta{"Schema", x.base + "/Schemas/" + s.ID})
	if err != nil {
		return nil, fmt.Errorf("describe schema %s: %w", s.ID, err)
	}
	text = append(text[:len(text)-1], `,"meta":`...)
	return append(append(text, where...), '}'), nil
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
