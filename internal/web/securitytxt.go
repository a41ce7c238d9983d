package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/mail"
	"net/url"
	"time"
)

// securityTextLife is how long the served file security.txt stays valid. RFC 9116 §2.5.5 recommends
// less than a year.
const securityTextLife = 180 * 24 * time.Hour

// SecurityText serves GET /.well-known/security.txt (RFC 9116), which says where to report a
// vulnerability of this installation.
type SecurityText struct {
	Contact   string // a URI from ParseContact; if empty, no file is served
	PublicURL string // the scheme and host under which clients reach this server
	Now       func() time.Time
}

// Register adds the file to mux. Without a contact it adds nothing.
func (s SecurityText) Register(mux *http.ServeMux) {
	if s.Contact != "" {
		mux.HandleFunc("GET /.well-known/security.txt", s.serve)
	}
}

// serve serves the file.
func (s SecurityText) serve(w http.ResponseWriter, _ *http.Request) {
	expires := s.Now().UTC().Add(securityTextLife).Truncate(24 * time.Hour)
	writePlain(w, http.StatusOK, fmt.Sprintf("Contact: %s\nExpires: %s\nCanonical: %s/.well-known/security.txt\n",
		s.Contact, expires.Format(time.RFC3339), s.PublicURL))
}

// ParseContact checks the contact of a security.txt file. It returns the contact as a URI: mailto:,
// https: or tel: (RFC 9116 §2.5.3). A bare e-mail address becomes a mailto: URI. An empty contact
// stays empty.
func ParseContact(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	uri, err := url.Parse(text)
	if err == nil && uri.Scheme == "" && isMailAddress(text) {
		uri, err = url.Parse("mailto:" + text)
	}
	if err != nil {
		return "", errContact
	}
	switch {
	case uri.Scheme == "mailto" && isMailAddress(uri.Opaque), uri.Scheme == "https" && uri.Host != "", uri.Scheme == "tel" && uri.Opaque != "":
		return uri.String(), nil
	}
	return "", errContact
}

// errContact is the error of ParseContact.
var errContact = errors.New("give an e-mail address, or a URI of the scheme https, mailto or tel")

// isMailAddress reports whether text is just an e-mail address, without the name of a person.
func isMailAddress(text string) bool {
	a, err := mail.ParseAddress(text)
	return err == nil && a.Address == text
}
