package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/rollcall-scim/rollcall/internal/outbound"
	"github.com/rollcall-scim/rollcall/saml"
)

// metadataTimeout is how long reading the metadata of an identity provider may take.
const metadataTimeout = 10 * time.Second

// metadataReader returns a function that reads the metadata of an identity provider from its
// address. Administrators of sites type the address. So the errors of the returned function say
// little about the server at that address; otherwise someone could explore a network by reading the
// errors.
func metadataReader(o outbound.Options) func(context.Context, string) ([]byte, error) {
	o.Timeout, o.MaxBody = metadataTimeout, saml.MaxMetadata
	client := outbound.New(o)
	return func(ctx context.Context, address string) ([]byte, error) {
		u, err := url.Parse(address)
		if err != nil {
			return nil, errors.New("this is not an address such as https://login.example.com/metadata")
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return nil, errors.New("this is not an address such as https://login.example.com/metadata")
		}
		r.Header.Set("Accept", "application/samlmetadata+xml, application/xml, text/xml")
		answer, err := client.Do(r)
		var blocked *outbound.BlockedError
		if errors.As(err, &blocked) {
			return nil, blocked
		}
		if err != nil {
			return nil, errors.New("it did not answer")
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("it answered with status %d; redirects are not followed", answer.StatusCode)
		}
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			return nil, errors.New("its answer broke off, or is larger than 2 MiB")
		}
		return text, nil
	}
}
