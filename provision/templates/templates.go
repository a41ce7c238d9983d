// Package templates contains the default mappings of new enterprise applications. Each template is
// a file with a schema document in the form of Microsoft Graph's synchronizationSchema, which
// provision.ParseSchema reads.
//
// Other packages decide which template an application gets, and when a job's mappings are restored.
// All applications that start with a template have the same schema id, rule id and directory ids,
// namely those of the template.
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
	// Guide is the template for new applications. It has the mappings of the setup guide for Stack
	// Overflow for Teams.
	Guide = "guide"
	// NonGallery has the mappings that Microsoft Entra ID gives to a SCIM application outside its
	// gallery.
	NonGallery = "customappsso"
)

//go:embed *.json
var documents embed.FS

// Get returns the schema document of the template with this name. The caller may change the bytes.
// Get returns an error if there is no such template.
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

// Names returns the names of all templates. The template for new applications comes first.
func Names() []string { return []string{Guide, NonGallery} }
