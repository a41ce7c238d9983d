package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/outbound"
	"github.com/rollcall-scim/rollcall/saml"
)

func TestMetadataIsReadFromItsAddress(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/metadata":
			w.Write([]byte("<x/>")) // fails only if the client has gone
		case "/large":
			w.Write(make([]byte, saml.MaxMetadata+1)) // fails only if the client has gone
		case "/away":
			http.Redirect(w, r, "/metadata", http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	read := metadataReader(outbound.Options{AllowLoopback: true})
	if text, err := read(t.Context(), server.URL+"/metadata"); err != nil || string(text) != "<x/>" {
		t.Errorf("got %q, %v", text, err)
	}
	for path, words := range map[string]string{"/large": "larger than 2 MiB", "/away": "status 302", "/absent": "status 404"} {
		if _, err := read(t.Context(), server.URL+path); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: got %v", path, err)
		}
	}
	var blocked *outbound.BlockedError
	for _, address := range []string{server.URL + "/metadata", "http://login.example.com/", "https://169.254.169.254/latest", "https://10.0.0.1/", "file:///etc/passwd"} {
		if _, err := metadataReader(outbound.Options{})(t.Context(), address); !errors.As(err, &blocked) {
			t.Errorf("%s: got %v", address, err)
		}
	}
}
