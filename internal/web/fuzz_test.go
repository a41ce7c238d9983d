package web

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// FuzzProxies passes arbitrary forwarded headers. The address and the host must stay valid, and
// nothing may be believed that comes from an untrusted address.
func FuzzProxies(f *testing.F) {
	f.Add("10.1.1.1:9", "127.0.0.1, 203.0.113.5", "https", "rollcall.example", "abc", "/c/acme/x")
	f.Add("203.0.113.9:1", "unknown, [::1]:80", "javascript", "a/b", "a b", "/d/x/y")
	f.Add("[fe80::1%eth0]:1", "10.0.0.1,,10.0.0.2", "HTTPS,http", "evil.example,x", strings.Repeat("a", 65), "/c/")
	proxies, err := ParseProxies([]string{"10.0.0.0/8", "fe80::/10"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, peer, forwardedFor, proto, host, id, path string) {
		r := &http.Request{Method: http.MethodGet, URL: httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil).URL, Host: "inside:8080", RemoteAddr: peer, Body: http.NoBody, Header: http.Header{
			"X-Forwarded-For": {forwardedFor}, "X-Forwarded-Proto": {proto}, "X-Forwarded-Host": {host}, "Forwarded": {host}, "X-Request-Id": {id},
		}}
		r.URL.Path = path
		addr, isAddress := parseHostAddr(peer)
		trusted := isAddress && proxies.trusts(addr)
		rec := httptest.NewRecorder()
		var seen *http.Request
		Front{Proxies: proxies}.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r })).ServeHTTP(rec, r)
		if ip := RemoteIP(seen); ip != "" {
			if _, err := netip.ParseAddr(ip); err != nil {
				t.Errorf("%q: got the address %q", forwardedFor, ip)
			}
		}
		if seen.URL.Scheme != "http" && seen.URL.Scheme != "https" || strings.ContainsAny(seen.Host, "/\\@?# <>\"'\r\n\x00") {
			t.Errorf("got %q and %q", seen.URL.Scheme, seen.Host)
		}
		if !trusted && (seen.Host != "inside:8080" || seen.RemoteAddr != peer || seen.URL.Scheme != "http" || RequestID(seen) == id) {
			t.Errorf("from %q: got %q, %q, %q, %q", peer, seen.Host, seen.RemoteAddr, seen.URL.Scheme, RequestID(seen))
		}
		if got := rec.Header().Get("X-Request-Id"); !isPlainID(got) || seen.Header.Get("X-Forwarded-For") != "" {
			t.Errorf("got the request id %q, and %v", got, seen.Header)
		}
		if area := areaName(path); area != "" && !strings.HasPrefix(path, area) {
			t.Errorf("%q: got the area %q", path, area)
		}
	})
}
