package outbound

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// FuzzCheckURL checks arbitrary URLs. One that passes is https or names this machine, and contains
// no credentials.
func FuzzCheckURL(f *testing.F) {
	for _, text := range []string{
		"https://acme.example/scim", "http://localhost:8080", "http://127.0.0.1.evil.example", "http://[::ffff:127.0.0.1]/", "https://user:secret@acme.example", "user:secret@acme.example",
		"http://2130706433/", "http://0x7f.1/", "//acme.example", "javascript:alert(1)", "https:///x", "https://\\@evil.example", "http://LOCALHOST./",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := url.Parse(text)
		if err != nil {
			return
		}
		if err := CheckURL(u); err != nil {
			if strings.Contains(err.Error(), "secret@") {
				t.Errorf("%q: the error shows the password: %v", text, err)
			}
			return
		}
		loopback := strings.EqualFold(u.Hostname(), "localhost")
		if a, err := netip.ParseAddr(u.Hostname()); err == nil && a.Unmap().IsLoopback() {
			loopback = true
		}
		if u.Scheme != "https" && (u.Scheme != "http" || !loopback) || u.User != nil || u.Hostname() == "" {
			t.Errorf("%q passes", text)
		}
	})
}

// FuzzRefusal checks arbitrary addresses that a name could resolve to.
func FuzzRefusal(f *testing.F) {
	for _, text := range []string{"169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "100.100.100.200", "fd00:ec2::254", "8.8.8.8", "fe80::1%eth0", "::", "0.0.0.1", "::10.0.0.1", "2001:0:1::1"} {
		a := netip.MustParseAddr(text)
		b := a.As16()
		f.Add(b[:], true)
		f.Add(b[:], false)
	}
	f.Fuzz(func(t *testing.T, bytes []byte, allowPrivate bool) {
		a, ok := netip.AddrFromSlice(bytes)
		if !ok || refusalReason(a, allowPrivate) != "" {
			return
		}
		inner, is := embeddedIPv4(a.Unmap())
		if is {
			a = inner
		}
		a = a.Unmap()
		if a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() || a.IsPrivate() && !allowPrivate || a == netip.MustParseAddr("169.254.169.254") {
			t.Errorf("%s may be called (private allowed: %v)", a, allowPrivate)
		}
	})
}
