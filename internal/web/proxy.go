package web

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

const maxHost = 260 // the maximum length of a host with its port, in bytes

// Proxies are the addresses of the trusted proxies. Only their headers X-Forwarded-For,
// X-Forwarded-Proto and X-Forwarded-Host are used.
type Proxies []netip.Prefix

// ParseProxies reads addresses and CIDR blocks ("10.0.0.0/8", "192.0.2.7").
func ParseProxies(texts []string) (Proxies, error) {
	var p Proxies
	for _, text := range texts {
		text = strings.TrimSpace(text)
		if addr, err := netip.ParseAddr(text); err == nil {
			p = append(p, netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()))
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("trusted proxy %q: write an address or a block such as 10.0.0.0/8", text)
		}
		p = append(p, prefix.Masked())
	}
	return p, nil
}

// trusts reports whether an address is that of a trusted proxy.
func (p Proxies) trusts(addr netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(addr.Unmap()) {
			return true
		}
	}
	return false
}

// applyForwarded sets RemoteAddr, Host and URL.Scheme to the values that the client used. It
// reports whether the request came through a trusted proxy. It removes forwarded headers, so that
// no handler trusts them by mistake.
func (p Proxies) applyForwarded(r *http.Request) bool {
	r.URL.Scheme = "http"
	if r.TLS != nil {
		r.URL.Scheme = "https"
	}
	trusted := false
	if len(p) > 0 {
		peer, ok := parseHostAddr(r.RemoteAddr)
		trusted = ok && p.trusts(peer)
	}
	if trusted {
		if proto := strings.ToLower(firstValue(r.Header, "X-Forwarded-Proto")); proto == "http" || proto == "https" {
			r.URL.Scheme = proto
		}
		if host := firstValue(r.Header, "X-Forwarded-Host"); isPlainHost(host) {
			r.Host = host
		}
		if client, ok := p.clientAddr(r.Header.Values("X-Forwarded-For")); ok {
			r.RemoteAddr = net.JoinHostPort(client.String(), "0")
		}
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip"} {
		r.Header.Del(name)
	}
	return trusted
}

// isPlainHost reports whether a string has only characters of a host name or address with a port:
// letters, digits, dots, dashes, underscores, colons and brackets.
func isPlainHost(host string) bool {
	strange := func(c rune) bool {
		return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:[]", c)
	}
	return host != "" && len(host) <= maxHost && !strings.ContainsFunc(host, strange)
}

// clientAddr returns the client's address from the lines of X-Forwarded-For: the last address that
// is not one of our proxies. The addresses before it come from the client and cannot be trusted.
func (p Proxies) clientAddr(lines []string) (netip.Addr, bool) {
	hops := strings.Split(strings.Join(lines, ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		addr, ok := parseHostAddr(strings.TrimSpace(hops[i]))
		if !ok {
			return netip.Addr{}, false
		}
		if !p.trusts(addr) || i == 0 {
			return addr, true
		}
	}
	return netip.Addr{}, false
}

// parseHostAddr reads an IP address, with or without a port, and returns the address.
func parseHostAddr(text string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	addr, err := netip.ParseAddr(text)
	return addr.Unmap().WithZone(""), err == nil
}

// firstValue returns the first element of a header that is a list separated by commas.
func firstValue(h http.Header, name string) string {
	first, _, _ := strings.Cut(h.Get(name), ",")
	return strings.TrimSpace(first)
}

// IsSecure reports whether the client used https, to this server or to a trusted proxy. It is valid
// only behind Front.
func IsSecure(r *http.Request) bool { return r.TLS != nil || r.URL.Scheme == "https" }

// RemoteIP returns the client's address without its port. It is valid only behind Front.
func RemoteIP(r *http.Request) string {
	addr, ok := parseHostAddr(r.RemoteAddr)
	if !ok {
		return ""
	}
	return addr.String()
}
