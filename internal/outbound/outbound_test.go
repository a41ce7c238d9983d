package outbound

import (
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

func get(t *testing.T, c *http.Client, target string) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer secret")
	resp, err := c.Do(r)
	if err == nil {
		t.Cleanup(func() { _ = resp.Body.Close() })
	}
	return resp, err
}

func TestClient(t *testing.T) {
	t.Parallel()
	t.Run("http_is_accepted_on_loopback", func(t *testing.T) {
		t.Parallel()
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
		defer s.Close()
		resp, err := get(t, New(Options{AllowLoopback: true}), s.URL)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := io.ReadAll(resp.Body); string(got) != "hello" {
			t.Errorf("got %q, want hello", got)
		}
	})
	t.Run("https_is_checked_against_the_given_roots", func(t *testing.T) {
		t.Parallel()
		s := httptest.NewTLSServer(http.NotFoundHandler())
		defer s.Close()
		var unknown x509.UnknownAuthorityError
		if _, err := get(t, New(Options{AllowLoopback: true}), s.URL); !errors.As(err, &unknown) {
			t.Errorf("got %v, want an unknown authority", err)
		}
		pool := x509.NewCertPool()
		pool.AddCert(s.Certificate())
		if _, err := get(t, New(Options{AllowLoopback: true, RootCAs: pool}), s.URL); err != nil {
			t.Errorf("with the root: %v", err)
		}
	})
	t.Run("redirects_are_not_followed", func(t *testing.T) {
		t.Parallel()
		followed := false
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/stolen" {
				followed = true
			}
			http.Redirect(w, r, "/stolen", http.StatusFound)
		}))
		defer s.Close()
		resp, err := get(t, New(Options{AllowLoopback: true}), s.URL)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusFound || followed {
			t.Errorf("got status %d, followed %v; want the redirect itself", resp.StatusCode, followed)
		}
	})
	t.Run("answers_are_bounded_in_size", func(t *testing.T) {
		t.Parallel()
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("x", len(r.URL.Path)))
		}))
		defer s.Close()
		c := New(Options{AllowLoopback: true, MaxBody: 10})
		resp, err := get(t, c, s.URL+"/23456789a")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(resp.Body); err != nil || len(got) != 10 {
			t.Errorf("at the limit: %d bytes, %v", len(got), err)
		}
		resp, err = get(t, c, s.URL+"/23456789ab")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(resp.Body); !errors.Is(err, ErrTooLarge) || len(got) != 10 {
			t.Errorf("above the limit: %d bytes, %v; want 10 and ErrTooLarge", len(got), err)
		}
	})
	t.Run("a_compressed_answer_is_bounded_by_what_it_unpacks_to", func(t *testing.T) {
		t.Parallel()
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, strings.Repeat("x", 1<<20))
			_ = z.Close()
		}))
		defer s.Close()
		resp, err := get(t, New(Options{AllowLoopback: true, MaxBody: 1 << 12}), s.URL)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(resp.Body); !errors.Is(err, ErrTooLarge) {
			t.Errorf("got %v, want ErrTooLarge", err)
		}
	})
	t.Run("answers_are_bounded_in_time", func(t *testing.T) {
		t.Parallel()
		hang := make(chan struct{})
		s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
		defer s.Close()
		defer close(hang)
		_, err := get(t, New(Options{AllowLoopback: true, Timeout: 50 * time.Millisecond}), s.URL)
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("got %v, want a timeout", err)
		}
	})
	t.Run("no_proxy_is_asked_for_loopback", func(t *testing.T) {
		t.Parallel()
		s := httptest.NewServer(http.NotFoundHandler())
		defer s.Close()
		asked := false
		c := New(Options{AllowLoopback: true, Proxy: func(r *http.Request) (*url.URL, error) {
			asked = asked || r.URL.Hostname() != "proxy-probe.invalid"
			return nil, nil
		}})
		if _, err := get(t, c, s.URL); err != nil {
			t.Fatal(err)
		}
		if asked {
			t.Error("the proxy was asked for a loopback target")
		}
	})
	t.Run("a_private_proxy_carries_public_targets", func(t *testing.T) {
		t.Parallel()
		var seen string
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen = r.Method + " " + r.Host
			http.Error(w, "no", http.StatusBadGateway)
		}))
		defer proxy.Close()
		via, _ := url.Parse(proxy.URL)
		_, err := get(t, New(Options{AllowLoopback: true, Proxy: http.ProxyURL(via)}), "https://8.8.8.8/scim")
		if err == nil || seen != "CONNECT 8.8.8.8:443" {
			t.Errorf("proxy saw %q, error %v", seen, err)
		}
	})
	t.Run("a_private_target_never_goes_through_the_proxy", func(t *testing.T) {
		t.Parallel()
		reached := false
		proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
		defer proxy.Close()
		via, _ := url.Parse(proxy.URL)
		var blocked *BlockedError
		_, err := get(t, New(Options{AllowLoopback: true, Proxy: http.ProxyURL(via)}), "https://10.1.2.3/scim")
		if !errors.As(err, &blocked) || reached {
			t.Errorf("got %v, proxy reached %v", err, reached)
		}
	})
}

func TestBlockedTargets(t *testing.T) {
	t.Parallel()
	for _, target := range []string{
		"http://example.com/scim",
		"ftp://example.com/scim",
		"https://kim:secret@example.com/scim",
		"https:///scim",
		"https://10.0.0.1/", "https://172.16.0.1/", "https://192.168.1.1/", "https://100.64.0.1/",
		"https://169.254.169.254/latest/meta-data/", "https://100.100.100.200/",
		"https://[fe80::1]/", "https://[fd00::1]/", "https://[fd00:ec2::254]/",
		"https://0.0.0.0/", "https://[::]/", "https://224.0.0.1/", "https://240.0.0.1/", "https://198.18.0.1/",
		"https://[::10.0.0.1]/", "https://[2001:0:1:2::1]/", "https://[fec0::1]/", "https://[100::1]/", "https://[3fff::1]/", "https://192.88.99.1/",
		"https://[::ffff:10.0.0.1]/", "https://[64:ff9b::a00:1]/", "https://[2002:a00:1::]/",
		"https://[::ffff:0:10.0.0.1]/", "https://[::ffff:0:8.8.8.8]/", "https://[2002:808:808::]/", "https://[64:ff9b:1::808:808]/",
		"https://[2606:4700::5efe:10.0.0.1]/", "https://[2606:4700::200:5efe:10.0.0.1]/",
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			var blocked *BlockedError
			if _, err := get(t, New(Options{AllowLoopback: true}), target); !errors.As(err, &blocked) {
				t.Errorf("got %v, want a refusal", err)
			}
		})
	}
}

func TestLoopbackIsRefusedUnlessItIsAllowed(t *testing.T) {
	t.Parallel()
	reached := false
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer s.Close()
	port := s.URL[strings.LastIndex(s.URL, ":"):]
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1.2.3", "LOCALHOST"} {
		var blocked *BlockedError
		if _, err := get(t, New(Options{AllowPrivate: true}), "http://"+host+port); !errors.As(err, &blocked) || reached {
			t.Errorf("%s: got %v, reached %v; want a refusal", host, err, reached)
		}
	}
}

func TestOfItsOwnListenersAProcessReachesOnlySCIM(t *testing.T) {
	t.Parallel()
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = append(asked, r.URL.EscapedPath()) }))
	defer s.Close()
	own := netip.MustParseAddrPort(strings.TrimPrefix(s.URL, "http://"))
	for name, listens := range map[string]netip.AddrPort{
		"one_address": own,
		"any_address": netip.AddrPortFrom(netip.IPv6Unspecified(), own.Port()),
	} {
		t.Run(name, func(t *testing.T) {
			c := New(Options{AllowLoopback: true, SCIMListeners: []netip.AddrPort{listens}})
			for path, allowed := range map[string]bool{
				"/c/acme/auth/scim/v2/Users":         true,
				"/c/acme/auth/scim":                  true,
				"/metrics":                           false,
				"/c/acme/admin/access":               false,
				"/c/acme/auth/scimmer":               false,
				"/c/acme/auth/scim/../../../metrics": false,
				"/d/contoso/users":                   false,
				"/readyz":                            false,
				"//metrics":                          false,
			} {
				asked = nil
				_, err := get(t, c, s.URL+path)
				var blocked *BlockedError
				if allowed != (len(asked) == 1) || allowed == errors.As(err, &blocked) {
					t.Errorf("%s: got %v, asked %q; want allowed %v", path, err, asked, allowed)
				}
			}
		})
	}
	t.Run("another_port_is_somebody_else", func(t *testing.T) {
		other := netip.AddrPortFrom(own.Addr(), own.Port()+1)
		if _, err := get(t, New(Options{AllowLoopback: true, SCIMListeners: []netip.AddrPort{other}}), s.URL+"/metrics"); err != nil {
			t.Error(err)
		}
	})
}

func TestARefusalShowsNoPassword(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"https://kim:secret@example.com/scim", "kim:secret@example.com/scim", "//kim:secret@/scim", "secret@", "https:kim:secret@example.com"} {
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckURL(u); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v", target, err)
		}
	}
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		address      string
		allowPrivate bool
		refused      bool
	}{
		{"8.8.8.8", false, false},
		{"2606:4700::1111", false, false},
		{"2001:4860:4860::8888", false, false},
		{"10.0.0.1", true, false},
		{"fd12::1", true, false},
		{"100.64.0.1", true, false},
		{"169.254.169.254", true, true},
		{"fe80::1", true, true},
		{"100.100.100.200", true, true},
		{"fd00:ec2::254", true, true},
		{"0.0.0.0", true, true},
		{"127.0.0.1", true, true},
		{"::1", true, true},
		{"::ffff:169.254.169.254", true, true},
		{"::169.254.169.254", true, true},
		{"2001::5601:5601", true, true},
	} {
		if got := refusalReason(netip.MustParseAddr(tt.address), tt.allowPrivate) != ""; got != tt.refused {
			t.Errorf("%s with private allowed %v: refused %v, want %v", tt.address, tt.allowPrivate, got, tt.refused)
		}
	}
}

// TestControl checks that a name cannot pass a check first and then resolve to an inside address
// when the connection is made.
func TestControl(t *testing.T) {
	t.Parallel()
	tr := &transport{options: Options{AllowLoopback: true}}
	for _, tt := range []struct {
		name, host, address string
		refused             bool
	}{
		{"public_name_rebound_to_loopback", "rebind.example.com", "127.0.0.1:443", true},
		{"public_name_rebound_to_private", "rebind.example.com", "10.0.0.7:443", true},
		{"public_name_rebound_to_metadata", "rebind.example.com", "169.254.169.254:443", true},
		{"public_name_with_public_address", "scim.example.com", "8.8.8.8:443", false},
		{"localhost_is_this_machine", "localhost", "127.0.0.1:8080", false},
		{"localhost_rebound_to_private", "localhost", "192.168.0.1:8080", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tr.addressChecker(tt.host)("tcp", tt.address, nil)
			if got := err != nil; got != tt.refused {
				t.Errorf("got %v, want refused %v", err, tt.refused)
			}
		})
	}
}

func TestDialRunsTheControlOnTheResolvedAddress(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	tr := &transport{options: Options{AllowLoopback: true, Timeout: time.Second}}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	c, err := tr.dial(context.Background(), "tcp", net.JoinHostPort("localhost", port))
	if err != nil {
		t.Fatalf("localhost: %v", err)
	}
	_ = c.Close()
	var blocked *BlockedError
	if _, err := tr.dial(context.Background(), "tcp", net.JoinHostPort("0.0.0.0", port)); !errors.As(err, &blocked) {
		t.Errorf("0.0.0.0: got %v, want a refusal", err)
	}
}
