// Package templates knows the default mappings of new enterprise applications. They are data: schema documents in the form
// of Microsoft Graph's synchronizationSchema, one file each, which provision.ParseSchema reads.
//
// Who chooses a template, and what happens to a job whose mappings are restored from one, is decided elsewhere. A template's
// id, its rule's id and its directories' ids are the same for every application that starts with it.
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
	// Guide is what new applications start with: the mappings that the guide for Stack Overflow for Teams shows.
	Guide = "guide"
	// NonGallery is what Microsoft Entra ID gives a SCIM application that is not from its gallery.
	NonGallery = "customappsso"
)

//go:embed *.json
var documents embed.FS

// Get is the schema document of that name. The caller owns the bytes.
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

// Names are the names of all templates, the one for new applications first.
func Names() []string { return []string{Guide, NonGallery} }
