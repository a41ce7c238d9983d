package graphapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/provision/templates"
)

// template is a set of default mappings from which a job can be created.
type template struct {
	id          string
	description string
	isDefault   bool // whether this is the template that Graph has for SCIM applications
	schema      *provision.Schema
}

// readTemplates reads the templates. The first template is Graph's own, with the id scim.
func readTemplates() ([]template, error) {
	list := []template{
		{id: "scim", description: "The mappings that Microsoft Entra ID gives a SCIM application that is not from its gallery.", isDefault: true},
		{id: "guide", description: "The mappings of the guide Configure SCIM with Entra ID. Jobs that are set up on the pages start with them."},
	}
	for i, name := range []string{templates.NonGallery, templates.Guide} {
		text, err := templates.Get(name)
		if err != nil {
			return nil, err
		}
		if list[i].schema, err = provision.ParseSchema(text); err != nil {
			return nil, fmt.Errorf("template %s: %w", name, err)
		}
	}
	return list, nil
}

// findTemplate returns the template with this id, or an error if there is none. Upper and lower
// case make no difference.
func (h *Handler) findTemplate(id string) (template, error) {
	for _, t := range h.templates {
		if strings.EqualFold(t.id, id) {
			return t, nil
		}
	}
	return template{}, notFound("There is no synchronization template '%s'. There are scim and guide.", toPrintable(id))
}

// templateOf returns the template from which a job's mappings were made, or Graph's own template if
// there is no such template.
func (h *Handler) templateOf(s *provision.Schema) template {
	for _, t := range h.templates {
		if s != nil && t.schema.ID == s.ID {
			return t
		}
	}
	return h.templates[0]
}

// templateDocument is Graph's synchronizationTemplate, the JSON form of a template.
type templateDocument struct {
	Context       string                    `json:"@odata.context,omitempty"`
	ID            string                    `json:"id"`
	ApplicationID string                    `json:"applicationId"`
	Default       bool                      `json:"default"`
	Description   string                    `json:"description"`
	Discoverable  bool                      `json:"discoverable"`
	FactoryTag    string                    `json:"factoryTag"`
	Metadata      []provision.MetadataEntry `json:"metadata"`
	Schema        json.RawMessage           `json:"schema,omitempty"`
}

// renderTemplate returns a template in Graph's form, without its schema.
func (c *call) renderTemplate(t template) templateDocument {
	return templateDocument{
		ID: t.id, ApplicationID: c.app.ID, Default: t.isDefault, Description: t.description, Discoverable: true, FactoryTag: "CustomSCIM",
		Metadata: []provision.MetadataEntry{{Key: "ConfigurationFields", Value: `[{"name":"baseaddress"},{"name":"secrettoken","secret":true}]`}},
	}
}

func (c *call) listTemplates() error {
	var all []templateDocument
	for _, t := range c.h.templates {
		all = append(all, c.renderTemplate(t))
	}
	return answerList(c, c.odataContext("servicePrincipals('%s')/synchronization/templates", c.app.ID), all)
}

func (c *call) getTemplate() error {
	t, err := c.h.findTemplate(c.params["template"])
	if err != nil {
		return err
	}
	out := c.renderTemplate(t)
	out.Context = c.odataContext("servicePrincipals('%s')/synchronization/templates/$entity", c.app.ID)
	if out.Schema, err = t.schema.JSON(); err != nil {
		return err
	}
	return c.answerOK(out)
}

func (c *call) getTemplateSchema() error {
	t, err := c.h.findTemplate(c.params["template"])
	if err != nil {
		return err
	}
	return c.answerSchema(t.schema, c.odataContext("servicePrincipals('%s')/synchronization/templates('%s')/schema/$entity", c.app.ID, t.id))
}

// servicePrincipal is Graph's servicePrincipal, with only the properties that Rollcall has.
type servicePrincipal struct {
	Context     string    `json:"@odata.context,omitempty"`
	ID          string    `json:"id"`
	AppID       string    `json:"appId"`
	DisplayName string    `json:"displayName"`
	Created     string    `json:"createdDateTime"`
	Type        string    `json:"servicePrincipalType"`
	Enabled     bool      `json:"accountEnabled"`
	Roles       []appRole `json:"appRoles"`
}

// appRole is Graph's appRole: a role of an application that users and groups can have.
type appRole struct {
	ID          string   `json:"id"`
	Value       *string  `json:"value"`
	DisplayName string   `json:"displayName"`
	Description *string  `json:"description"`
	Enabled     bool     `json:"isEnabled"`
	Members     []string `json:"allowedMemberTypes"`
	Origin      string   `json:"origin"`
}

// renderPrincipal returns an application in Graph's form, with its roles.
func (c *call) renderPrincipal(a directory.Application) (servicePrincipal, error) {
	p := servicePrincipal{ID: a.ID, AppID: a.ID, DisplayName: a.Name, Created: formatTime(a.Created), Type: "Application", Enabled: true, Roles: []appRole{}}
	own, err := c.Handle.Roles(c.r.Context(), a.ID)
	for _, r := range own {
		p.Roles = append(p.Roles, appRole{
			ID: r.ID, Value: nullIfEmpty(r.Value), DisplayName: r.DisplayName, Description: nullIfEmpty(r.Description), Enabled: r.Enabled,
			Members: []string{"User"}, Origin: "Application",
		})
	}
	return p, err
}

// listPrincipals lists the enterprise applications of the directory.
func (c *call) listPrincipals() error {
	q, err := readQuery(c.r.URL.Query(), "$filter", "$count", "$select")
	if err != nil {
		return err
	}
	all, err := c.Applications(c.r.Context())
	if err != nil {
		return err
	}
	f, err := parseFilter(q.Get("$filter"), principalFields())
	if err != nil {
		return err
	}
	values := []servicePrincipal{}
	for _, a := range all {
		if !f.matches(map[string]any{"id": a.ID, "appid": a.ID, "displayname": a.Name}) {
			continue
		}
		p, err := c.renderPrincipal(a)
		if err != nil {
			return err
		}
		values = append(values, p)
	}
	out := collection[servicePrincipal]{Context: c.odataContext("servicePrincipals"), Value: values}
	if strings.EqualFold(q.Get("$count"), "true") {
		n := len(values)
		out.Count = &n
	}
	return c.answerOK(out)
}

func (c *call) getPrincipal() error {
	p, err := c.renderPrincipal(c.app)
	if err != nil {
		return err
	}
	p.Context = c.odataContext("servicePrincipals/$entity")
	return c.answerOK(p)
}

// nonGalleryTemplateID is the id of Entra's application template for applications that are not in
// its gallery.
const nonGalleryTemplateID = "8adf8e6e-67b2-4cf2-a259-e3dc5476c621"

// instantiate creates an enterprise application. Graph shows it as two objects, an application and
// a service principal.
func (c *call) instantiate() error {
	if id := c.params["applicationTemplate"]; !strings.EqualFold(id, nonGalleryTemplateID) {
		return notFound("There is no application template '%s'. The one of applications outside a gallery is %s.", toPrintable(id), nonGalleryTemplateID)
	}
	var body struct {
		DisplayName string `json:"displayName"`
	}
	if err := c.readJSON(&body, false); err != nil {
		return err
	}
	if strings.TrimSpace(body.DisplayName) == "" {
		return refuse(http.StatusBadRequest, codeMissing, "displayName is missing.")
	}
	a, err := c.CreateApplication(c.r.Context(), body.DisplayName, c.actor())
	if err != nil {
		return err
	}
	p, err := c.renderPrincipal(a)
	if err != nil {
		return err
	}
	type application struct {
		ID          string `json:"id"`
		AppID       string `json:"appId"`
		DisplayName string `json:"displayName"`
		Created     string `json:"createdDateTime"`
	}
	return c.answerCreated(struct {
		Context   string           `json:"@odata.context"`
		App       application      `json:"application"`
		Principal servicePrincipal `json:"servicePrincipal"`
	}{
		c.odataContext("microsoft.graph.applicationServicePrincipal"),
		application{a.ID, a.ID, a.Name, formatTime(a.Created)},
		p,
	})
}
