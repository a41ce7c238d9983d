// Package outbound sends requests to addresses that people type into forms, such as tenant URLs. It
// prevents these people from using the server to reach addresses that they cannot reach themselves.
//
// A request is refused before anything is sent if its URL is not https (http is allowed for
// loopback only), contains a user name, or leads to an address that is not public. Of this process
// itself, requests can reach only the SCIM endpoints of sites. The address is checked when the
// connection is made, after the name is resolved. So a name that resolves differently after a first
// check (DNS rebinding) is refused too. Redirects are not followed. Answers are limited in size and
// time.
//
// The caller decides what to send and what an answer means.
package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Defaults of [Options].
const (
	DefaultTimeout = 15 * time.Second
	DefaultMaxBody = 4 << 20
	maxHeader      = 64 << 10 // the largest headers of an answer, in bytes; no option changes it
)

// ErrTooLarge is returned by reads of an answer that is larger than Options.MaxBody.
var ErrTooLarge = errors.New("the answer is larger than allowed")

// BlockedError is the error for a request that was refused before it was sent.
type BlockedError struct {
	Target string // the host of the URL; if it has none, the URL without its user name and password
	Reason string // the end of a sentence that begins with Target, such as "is a private address"
}

func (e *BlockedError) Error() string { return e.Target + " " + e.Reason }

// Options are the settings of a client. The zero value is the strictest.
type Options struct {
	// AllowPrivate allows private addresses (RFC 1918, RFC 4193, RFC 6598), for applications inside
	// the company's network. Link-local addresses stay refused, because cloud machines serve their
	// own credentials there.
	AllowPrivate bool
	// AllowLoopback allows loopback addresses, if the host in the URL is such an address or
	// "localhost". It is for trials, and for applications on the same machine.
	AllowLoopback bool
	// SCIMListeners are the addresses on which this process listens for requests. A request to one
	// of them must be for a site's SCIM endpoint.
	SCIMListeners []netip.AddrPort
	// ForbiddenListeners are the other addresses on which this process listens, such as that of the
	// metrics. No request may go to them.
	ForbiddenListeners []netip.AddrPort
	Timeout            time.Duration  // how long a request with its answer may take; 0 means DefaultTimeout
	MaxBody            int64          // the largest answer in bytes; 0 means DefaultMaxBody
	RootCAs            *x509.CertPool // the certificate authorities to trust; nil means the system's authorities
	// Proxy chooses a proxy as in http.Transport; nil means none. Requests to loopback and private
	// addresses never use the proxy.
	Proxy func(*http.Request) (*url.URL, error)
}

// The limits of idle connections. While a provisioning job creates accounts, it may send up to 64
// creates and up to 64 searches at the same time. With HTTP/1.1, each of them needs its own
// connection. If fewer idle connections were kept, the job would often have to open new ones.
const (
	maxIdle        = 512
	maxIdlePerHost = 128
)

// New returns a client that checks every request as the package comment describes.
func New(o Options) *http.Client {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.MaxBody <= 0 {
		o.MaxBody = DefaultMaxBody
	}
	t := &transport{options: o}
	t.base = &http.Transport{
		Proxy:                  t.chooseProxy,
		DialContext:            t.dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs},
		TLSHandshakeTimeout:    o.Timeout,
		MaxResponseHeaderBytes: maxHeader,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        90 * time.Second,
		ForceAttemptHTTP2:      true,
	}
	return &http.Client{
		Transport: t,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

// CheckURL returns a *BlockedError if the URL may not be called. It looks only at the URL and does
// not resolve the host name.
func CheckURL(u *url.URL) error {
	switch {
	case u.Host == "" || u.Hostname() == "":
		return &BlockedError{Target: withoutUser(u), Reason: "names no host"}
	case u.User != nil:
		return &BlockedError{Target: u.Host, Reason: "must not carry a user name or password in the URL"}
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && IsLoopbackHost(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return &BlockedError{Target: u.Host, Reason: "must be called with https; http is accepted for this machine only"}
	}
	return &BlockedError{Target: u.Host, Reason: fmt.Sprintf("must be called with https, not %q", u.Scheme)}
}

// withoutUser returns the URL as a string, without the user name and password in front of an @.
// They may be secret: people often put a token there, even as the user name.
func withoutUser(u *url.URL) string {
	text := u.String()
	if at := strings.LastIndex(text, "@"); at >= 0 {
		return "…" + text[at:]
	}
	return text
}

// transport checks every request, sends it with base, and limits its answer.
type transport struct {
	options Options         // the settings, with the defaults filled in
	base    *http.Transport // sends the requests
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := CheckURL(r.URL); err != nil {
		return nil, err
	}
	if IsLoopbackHost(r.URL.Hostname()) && !t.options.AllowLoopback {
		return nil, &BlockedError{Target: r.URL.Host, Reason: loopbackRefusal}
	}
	if err := t.checkListeners(r); err != nil {
		return nil, err
	}
	// Do not use the timeout of http.Client: it would cost two goroutines for each request, because
	// this transport is not an *http.Transport.
	ctx, cancel := context.WithTimeout(r.Context(), t.options.Timeout)
	resp, err := t.base.RoundTrip(r.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	resp.Body = &boundedBody{body: resp.Body, remaining: t.options.MaxBody, stopTimer: cancel}
	return resp, nil
}

// loopbackRefusal is the Reason of a BlockedError for an address of this machine.
const loopbackRefusal = "is this machine; start with --allow-loopback-targets to reach applications on it"

// scimPath matches the paths of this process's own server to which a request may go.
var scimPath = regexp.MustCompile(`(?i)^/c/[^/]+/auth/scim(/|$)`)

// checkListeners refuses a request to one of this process's own listeners, unless it is for a
// site's SCIM endpoint. It runs for every request, because requests to the same listener may share
// a connection.
func (t *transport) checkListeners(r *http.Request) error {
	if t.leadsTo(r, t.options.ForbiddenListeners) {
		return &BlockedError{Target: r.URL.Host, Reason: "is a part of this server itself that cannot be reached"}
	}
	if len(t.options.SCIMListeners) == 0 || scimPath.MatchString(r.URL.EscapedPath()) && !strings.Contains(r.URL.EscapedPath(), "..") {
		return nil
	}
	if !t.leadsTo(r, t.options.SCIMListeners) {
		return nil
	}
	return &BlockedError{Target: r.URL.Host, Reason: "is this server itself, of which only /c/{site}/auth/scim/ can be reached"}
}

// leadsTo reports whether a request would reach one of these listeners.
func (t *transport) leadsTo(r *http.Request, listeners []netip.AddrPort) bool {
	port := r.URL.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[r.URL.Scheme]
	}
	same := slices.DeleteFunc(slices.Clone(listeners), func(a netip.AddrPort) bool { return strconv.Itoa(int(a.Port())) != port })
	return len(same) > 0 && isOwnAddress(r.Context(), r.URL.Hostname(), same)
}

// isOwnAddress reports whether a host resolves to one of the addresses in own. An unspecified
// address in own, such as 0.0.0.0, stands for all addresses of this machine.
func isOwnAddress(ctx context.Context, host string, own []netip.AddrPort) bool {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return IsLoopbackHost(host) // a host that cannot be resolved is this machine only if it is localhost or a loopback address
	}
	local := localAddrs()
	for _, a := range addrs {
		a = a.Unmap()
		for _, o := range own {
			o := o.Addr().Unmap()
			if a == o || a.IsUnspecified() || o.IsUnspecified() && (a.IsLoopback() || slices.Contains(local, a)) {
				return true
			}
		}
	}
	return false
}

// localAddrs returns the addresses of this machine's interfaces, or nil if the system does not list
// them.
func localAddrs() []netip.Addr {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var addrs []netip.Addr
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			addrs = append(addrs, p.Addr().Unmap())
		}
	}
	return addrs
}

// CloseIdleConnections closes idle connections. http.Client.CloseIdleConnections calls it.
func (t *transport) CloseIdleConnections() { t.base.CloseIdleConnections() }

// chooseProxy returns the configured proxy, but only for public addresses. Since a proxy resolves
// host names itself, this method resolves and checks the name first, if this machine can resolve
// it.
func (t *transport) chooseProxy(r *http.Request) (*url.URL, error) {
	if t.options.Proxy == nil || IsLoopbackHost(r.URL.Hostname()) {
		return nil, nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(r.Context(), "ip", r.URL.Hostname())
	if err != nil {
		return t.options.Proxy(r) // only the proxy can resolve this name
	}
	for _, a := range addrs {
		if reason := refusalReason(a, t.options.AllowPrivate); reason != "" {
			return nil, &BlockedError{Target: r.URL.Hostname(), Reason: fmt.Sprintf("resolves to %s, which %s", a, reason)}
		}
		if isPrivate(a.Unmap()) {
			return nil, nil
		}
	}
	return t.options.Proxy(r)
}

// dial connects to an address, which addressChecker checks first. The address of the configured
// proxy is not checked.
func (t *transport) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: t.options.Timeout, KeepAlive: 30 * time.Second}
	if !t.isProxy(address) {
		d.Control = t.addressChecker(host)
	}
	return d.DialContext(ctx, network, address)
}

// isProxy reports whether address is the address of the configured proxy, which may be private.
func (t *transport) isProxy(address string) bool {
	if t.options.Proxy == nil {
		return false
	}
	probe := &http.Request{URL: &url.URL{Scheme: "https", Host: "proxy-probe.invalid"}}
	p, err := t.options.Proxy(probe)
	if err != nil || p == nil {
		return false
	}
	port := p.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[p.Scheme]
	}
	return strings.EqualFold(net.JoinHostPort(p.Hostname(), port), address)
}

// addressChecker returns a function that checks an address just before the connection to it is
// made. The function runs after the name is resolved, once for each address.
func (t *transport) addressChecker(host string) func(network, address string, c syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return &BlockedError{Target: host, Reason: "resolves to an address that cannot be read"}
		}
		a := ap.Addr().Unmap()
		if a.IsLoopback() && IsLoopbackHost(host) && t.options.AllowLoopback {
			return nil
		}
		if reason := refusalReason(a, t.options.AllowPrivate); reason != "" {
			return &BlockedError{Target: host, Reason: fmt.Sprintf("resolves to %s, which %s", a, reason)}
		}
		return nil
	}
}

// IsLoopbackHost reports whether the host in a URL names this machine. A public name does not
// count, even if it resolves to 127.0.0.1.
func IsLoopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// isPrivate reports whether an address is private (RFC 1918, RFC 4193, RFC 6598).
func isPrivate(a netip.Addr) bool {
	return a.IsPrivate() || netip.MustParsePrefix("100.64.0.0/10").Contains(a)
}

// refusalReason returns the reason why an address may not be called, or "" if it may.
func refusalReason(a netip.Addr, allowPrivate bool) string {
	a = a.Unmap()
	if isReserved(a) {
		return "is a reserved address"
	}
	if inner, ok := embeddedIPv4(a); ok {
		a = inner
	}
	switch {
	case a == netip.MustParseAddr("100.100.100.200"), a == netip.MustParseAddr("fd00:ec2::254"):
		return "is a cloud machine's metadata service"
	case isPrivate(a) && !allowPrivate:
		return "is a private address; start with --allow-private-targets to reach applications inside the network"
	case isPrivate(a):
		return ""
	case a.IsLoopback():
		return "is this machine"
	case a.IsUnspecified(), a.IsMulticast(), a.IsInterfaceLocalMulticast(), !a.IsGlobalUnicast():
		return "is not a public address"
	case isReserved(a):
		return "is a reserved address"
	}
	return ""
}

// isReserved reports whether an address is in one of the reserved ranges.
func isReserved(a netip.Addr) bool {
	return slices.ContainsFunc(reservedRanges(), func(p netip.Prefix) bool { return p.Contains(a) })
}

// embeddedIPv4 returns the IPv4 address inside an IPv6 address, if a gateway may translate the IPv6
// address to the IPv4 address. It knows NAT64 (RFC 6052) and ISATAP (RFC 5214 §6.1). The ranges of
// other translation gateways are in reservedRanges.
func embeddedIPv4(a netip.Addr) (netip.Addr, bool) {
	b := a.As16()
	switch {
	case netip.MustParsePrefix("64:ff9b::/96").Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case binary.BigEndian.Uint32(b[8:12])|0x0200_0000 == 0x0200_5efe:
		return netip.AddrFrom4([4]byte(b[12:16])), true
	}
	return a, false
}

// reservedRanges returns the reserved ranges of addresses that the methods of net/netip do not
// recognise. RFC 6890 and IANA's later registries list them. The result includes former site-local
// ranges, and former ranges for translation to IPv4, such as Teredo in 2001::/23.
func reservedRanges() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),
		netip.MustParsePrefix("192.0.0.0/24"),
		netip.MustParsePrefix("192.0.2.0/24"),
		netip.MustParsePrefix("192.88.99.0/24"),
		netip.MustParsePrefix("198.18.0.0/15"),
		netip.MustParsePrefix("198.51.100.0/24"),
		netip.MustParsePrefix("203.0.113.0/24"),
		netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("::/96"),
		netip.MustParsePrefix("::ffff:0:0:0/96"),
		netip.MustParsePrefix("64:ff9b:1::/48"),
		netip.MustParsePrefix("100::/64"),
		netip.MustParsePrefix("2001::/23"),
		netip.MustParsePrefix("2001:db8::/32"),
		netip.MustParsePrefix("2002::/16"),
		netip.MustParsePrefix("3fff::/20"),
		netip.MustParsePrefix("5f00::/16"),
		netip.MustParsePrefix("fec0::/10"),
	}
}

// boundedBody is the body of an answer. Reads return ErrTooLarge after Options.MaxBody bytes.
type boundedBody struct {
	body      io.ReadCloser
	remaining int64  // how many more bytes may be read
	stopTimer func() // stops the timer of the request's timeout
}

// Read reads from the body, and returns ErrTooLarge if the body is too large.
func (b *boundedBody) Read(p []byte) (int, error) {
	if int64(len(p)) > b.remaining+1 {
		p = p[:b.remaining+1]
	}
	n, err := b.body.Read(p)
	if int64(n) > b.remaining {
		n = int(b.remaining)
		b.remaining = 0
		return n, ErrTooLarge
	}
	b.remaining -= int64(n)
	return n, err
}

// Close closes the body and stops the timer.
func (b *boundedBody) Close() error {
	defer b.stopTimer()
	return b.body.Close()
}
