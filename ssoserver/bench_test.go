package ssoserver_test

import (
	"net/http"
	"net/url"
	"testing"
)

// BenchmarkPost posts responses of the identity provider about a known person, each in a browser of
// its own.
func BenchmarkPost(b *testing.B) {
	w := newWorld(b)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		br := w.browser()
		r := br.start("/c/acme/auth/saml2/login")
		encoded, err := w.idp.Respond(about(r, "ada@acme.example"))
		if err != nil {
			b.Fatal(err)
		}
		form := url.Values{"SAMLResponse": {encoded}, "RelayState": {r.RelayState}}
		b.StartTimer()
		if a := br.send(http.MethodPost, "/c/acme/auth/saml2/post", form, true); a.StatusCode != http.StatusSeeOther {
			b.Fatalf("got %d\n%s", a.StatusCode, a.text)
		}
	}
}
