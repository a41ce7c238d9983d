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

// The names of the templates.
const (
	// Guide is the template for new applications. It has the mappings in the guide for Stack
	// Overflow for Teams.
	Guide = "guide"
	// NonGallery has the mappings that Microsoft Entra ID gives to a SCIM application outside its
	// gallery.
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
