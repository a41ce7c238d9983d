// Package web knows how to take an HTTP request safely before anything of ours looks at it. It has no page and no rule.
//
//	Front{...}.Handler(next):
//	   proxies → request id → access log → panics → deadline → secure headers → body limit → next
//
// After Front a request is normal: RemoteAddr is the client's, Host and URL.Scheme are what the client used (forwarded headers
// count only from named proxies, and are gone), and X-Request-Id holds an id that the answer carries too.
//
// The access log holds no personal data: the route's pattern instead of the path, no query, no address, no user name. What
// belongs to a site or a directory is named by the first two parts of the path, which are names of the installation.
//
// Who may see what is left to the edges; rate limits and metrics come with a later version.
package web
