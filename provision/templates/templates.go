// Package templates contains the default mappings of new enterprise applications. Each template is
// a file with a schema document in the form of Microsoft Graph's synchronizationSchema.
// provision.ParseSchema parses it.
//
// The package does not decide which template an application gets, or what happens when a job's
// mappings are restored. All applications that start with a template share its id, its rule's id
// and its directories' ids.
package templates

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// The templates.
const (
	// Guide is what new applications start with: the mappings that the guide for Stack Overflow for
	// Teams shows.
	Guide = "guide"
	// NonGallery is what Microsoft Entra ID gives a SCIM application that is not from its gallery.
	NonGallery = "customappsso"
)

//go:embed *.json
var documents embed.FS

// Get returns the schema document of the template with this name. The caller owns the bytes.
func Get(name string) ([]byte, error) {
	b, err := documents.ReadFile(name + ".json")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return nil, fmt.Errorf("there is no template %q: the templates are %s", name, strings.Join(Names(), " and "))
	}
	if err != nil {
		return nil, fmt.Errorf("read template %s: %w", name, err)
	}
	return b, nil
}

// Names returns the names of all templates, with the one for new applications first.
func Names() []string { return []string{Guide, NonGallery} }
