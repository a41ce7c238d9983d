// Package web prepares every HTTP request before a handler sees it. It has no pages and no rules.
//
//	proxies → request id → access log → panics → deadline → secure headers → body limit → next
//
// After Front, a request looks the same with and without a proxy: RemoteAddr is the client's
// address, Host and URL.Scheme have the values that the client used, and X-Request-Id holds an id
// that the answer carries too. Only trusted proxies can set these values, with forwarded headers.
// Front removes forwarded headers.
//
// The access log holds no personal data. It has the route's pattern instead of the path, and no
// query, address or user name. The one exception is the first two parts of the path, which name the
// site or directory. Administrators chose these names, which are not the names of people.
//
// Handlers decide which users may see which data.
package web
