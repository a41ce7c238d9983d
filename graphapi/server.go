package graphapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/notification"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/provision"
)

// Pattern is the pattern under which an http.ServeMux must serve the Handler.
const Pattern = "/d/{directory}/graph/"

// Limits of the size of a request body, in bytes.
const (
	maxBody       = 256 << 10
	maxSchemaBody = 8 << 20 // for a schema document
)

// Handler serves the API of every directory. Fields without a comment are required.
type Handler struct {
	Directories *directory.Directories
	Keys        *operator.Keys
	Jobs        *provision.Jobs
	Engine      *provision.Engine
	// Notifications holds the addresses that get mail about the jobs.
	Notifications *notification.Notifications
	Owner         string        // the name of this process as the owner of leases; provisioning on demand takes a lease
	BaseURL       string        // the address of this installation, without a slash at the end
	Interval      time.Duration // the time between cycles; 0 means Entra's 40 minutes
	Now           func() time.Time
	Log           *slog.Logger // may be nil

	limits    limits
	templates []template
}

// limits limits how many requests this process accepts.
type limits struct {
	requests *web.Throttle // counts the requests of each API key
	failures *web.Throttle // counts the wrong API keys from each network address
	demands  *web.Throttle // counts the requests to provision on demand in each directory
}

// New returns a handler with the fields of h. It sets the limits and reads the templates. It
// returns an error if a template cannot be read.
func New(h Handler) (*Handler, error) {
	if h.Log == nil {
		h.Log = slog.New(slog.DiscardHandler)
	}
	if h.Interval <= 0 {
		h.Interval = 40 * time.Minute
	}
	h.limits = limits{
		requests: web.NewThrottle(200, 50*time.Millisecond),
		failures: web.NewFailureThrottle(),
		// Graph accepts five requests in ten seconds.
		demands: web.NewThrottle(5, 2*time.Second),
	}
	var err error
	h.templates, err = readTemplates()
	return &h, err
}

// call is one authenticated request. The functions that answer requests are its methods.
type call struct {
	h       *Handler
	w       http.ResponseWriter
	r       *http.Request
	version string // "v1.0" or "beta"
	*directory.Handle
	apiKey operator.Key
	params map[string]string // values of the placeholders in the route's path
	app    directory.Application
	job    provision.Job
}

// ServeHTTP answers a request below Pattern.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("request-id", web.RequestID(r))
	w.Header().Set("client-request-id", clientRequestID(r))
	if err := h.serve(w, r); err != nil {
		h.writeError(w, r, err)
	}
}

// serve answers a request or returns the error for it. It authenticates the request before anything
// else, so that clients without a key learn nothing.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) error {
	r.Pattern = Pattern
	path, version, directoryName, err := splitPath(r.URL)
	if err != nil {
		return err
	}
	key, err := h.authenticate(r, directoryName)
	if err != nil {
		return err
	}
	c := &call{h: h, w: w, r: r, version: version, apiKey: key}
	who := key.EventActor()
	who.Address, who.UserAgent = web.RemoteIP(r), r.UserAgent()
	c.r = r.WithContext(event.WithActor(r.Context(), who))
	if c.Handle, err = h.Directories.OpenByID(c.r.Context(), directory.ID(key.Directory)); err != nil {
		return err
	}
	if version != "v1.0" && version != "beta" {
		return refuse(http.StatusBadRequest, codeBadRequest, "Invalid version: %s. It is v1.0 or beta.", version)
	}
	rt, err := findRoute(r.Method, path)
	if err != nil {
		return err
	}
	r.Pattern = rt.Method + " " + Pattern + "{version}/" + rt.Path
	if !key.Level.Allows(rt.Level) {
		return refuse(http.StatusForbidden, codeForbidden, "This key may %s. This request needs a key that may %s.", key.Level, rt.Level)
	}
	limit := rt.MaxBody
	if limit == 0 {
		limit = maxBody
	}
	c.r.Body = http.MaxBytesReader(w, c.r.Body, limit)
	c.params = rt.params
	if err := c.findApplicationAndJob(); err != nil {
		return err
	}
	return rt.handle(c)
}

// splitPath splits the path of a request into the directory's name, the version, and the unescaped
// segments after the version.
func splitPath(u *url.URL) (path []string, version, directoryName string, err error) {
	parts := strings.Split(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	for i, part := range parts {
		if parts[i], err = url.PathUnescape(part); err != nil {
			return nil, "", "", refuse(http.StatusBadRequest, codeBadRequest, "The path has an escape that cannot be read.")
		}
	}
	// The path matches Pattern: d, the directory, graph, the version, and the rest.
	if len(parts) < 4 {
		return nil, "", "", notFound("There is nothing at this address.")
	}
	return parts[4:], parts[3], parts[1], nil
}

// authenticate returns the API key of the request. It returns an error if the key is wrong or was
// used too often. The error for a wrong key does not reveal whether the directory exists.
func (h *Handler) authenticate(r *http.Request, directoryName string) (operator.Key, error) {
	now := h.Now()
	scheme, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		bearer = ""
	}
	key, err := h.Keys.Authenticate(r.Context(), directoryName, strings.TrimSpace(bearer), web.RemoteIP(r))
	if errors.Is(err, operator.ErrKeyUnauthorized) {
		source := web.RemoteIP(r)
		if wait := h.limits.failures.Wait(source, now); wait > 0 {
			return key, tooManyRequests(wait, "This address has sent too many wrong keys.")
		}
		if bearer == "" {
			return key, refuse(http.StatusUnauthorized, codeUnauthorized, "Access token is empty. Send an API key of this directory in the header Authorization, after the word Bearer.")
		}
		h.limits.failures.Count(source, now)
		return key, refuse(http.StatusUnauthorized, codeUnauthorized, "Access token validation failure: the directory or the API key is unknown, or the key has ended.")
	}
	if err != nil {
		return key, err
	}
	if wait := h.limits.requests.Wait(key.ID, now); wait > 0 {
		return key, tooManyRequests(wait, "This key has sent too many requests.")
	}
	h.limits.requests.Count(key.ID, now)
	return key, nil
}

// tooManyRequests returns the error for a client that must wait. message says why.
func tooManyRequests(wait time.Duration, message string) error {
	e := refuse(http.StatusTooManyRequests, codeTooManyRequests, "%s Try again in %s seconds.", message, web.Seconds(wait))
	e.RetryAfter = wait
	return e
}

// findApplicationAndJob reads the application and the job that the path names, if it names any. Ids
// from other directories count as unknown.
func (c *call) findApplicationAndJob() error {
	ctx := c.r.Context()
	if id, named := c.params["servicePrincipal"]; named {
		all, err := c.Applications(ctx)
		if err != nil {
			return err
		}
		for _, a := range all {
			if strings.EqualFold(a.ID, id) {
				c.app = a
			}
		}
		if c.app.ID == "" {
			return noResource(id)
		}
	}
	id, named := c.params["job"]
	if !named {
		return nil
	}
	job, err := c.h.Jobs.Get(ctx, c.key())
	if errors.Is(err, provision.ErrNoJob) || err == nil && !strings.EqualFold(id, jobID(c.Handle, c.app)) {
		return notFound("The application has no synchronization job with the id '%s'.", toPrintable(id))
	}
	c.job = job
	return err
}

// key returns the key under which provision stores the application's job.
func (c *call) key() provision.Key { return jobKey(c.Handle, c.app) }

// jobKey returns the key under which provision stores the job of an application.
func jobKey(h *directory.Handle, a directory.Application) provision.Key {
	return provision.Key{Directory: provision.SourceID(h.Directory.ID), App: a.ID}
}

// actor returns the name of the API key, which events show as their actor.
func (c *call) actor() string { return c.apiKey.EventActor().Label() }

// rootURL returns the address of this version of the API for the directory.
func (c *call) rootURL() string {
	return c.h.BaseURL + "/d/" + url.PathEscape(c.Directory.Name) + "/graph/" + c.version
}

// odataContext returns the value of @odata.context in an answer, which names the answer's type.
// rest is the end of the value, in the format of fmt.Sprintf.
func (c *call) odataContext(rest string, args ...any) string {
	return c.rootURL() + "/$metadata#" + fmt.Sprintf(rest, args...)
}

// answerOK answers with status 200 and a resource.
func (c *call) answerOK(v any) error {
	writeJSON(c.w, http.StatusOK, v)
	return nil
}

// answerCreated answers with status 201 and the new resource.
func (c *call) answerCreated(v any) error {
	writeJSON(c.w, http.StatusCreated, v)
	return nil
}

// answerNoContent answers with status 204, for a request that has no result.
func (c *call) answerNoContent() error {
	c.w.Header().Set("Cache-Control", "no-store")
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// collection is a list in Graph's form.
type collection[T any] struct {
	Context string `json:"@odata.context"`
	Count   *int   `json:"@odata.count,omitempty"`
	Next    string `json:"@odata.nextLink,omitempty"`
	Value   []T    `json:"value"`
}

// answerList answers with a collection in Graph's form.
func answerList[T any](c *call, context string, values []T) error {
	if values == nil {
		values = []T{}
	}
	return c.answerOK(collection[T]{Context: context, Value: values})
}

// readJSON decodes the JSON body of the request into v. If the body is empty, readJSON returns an
// error, or leaves v unchanged if emptyAllowed is true.
func (c *call) readJSON(v any, emptyAllowed bool) error {
	text, err := c.readBody()
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(text)) == 0 {
		if emptyAllowed {
			return nil
		}
		return refuse(http.StatusBadRequest, codeBadRequest, "Empty Payload. JSON content expected.")
	}
	if !utf8.Valid(text) || bytes.Contains(text, []byte(`\u0000`)) || bytes.ContainsRune(text, 0) {
		return refuse(http.StatusBadRequest, codeBadRequest, "The body is not UTF-8 text without NUL.")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(v); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return refuse(http.StatusBadRequest, codeBadRequest, "%s has a %s where the API takes another type.", firstNonEmpty(wrong.Field, "The body"), wrong.Value)
		}
		return refuse(http.StatusBadRequest, codeBadRequest, "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format: %v.", err)
	}
	if d.More() {
		return refuse(http.StatusBadRequest, codeBadRequest, "Something follows the JSON of the body.")
	}
	return nil
}

// firstNonEmpty returns a, or b if a is empty.
func firstNonEmpty(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// readBody returns the request's body. It returns an error if the body is not empty and its
// Content-Type is not JSON.
func (c *call) readBody() ([]byte, error) {
	text, err := io.ReadAll(c.r.Body)
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, err
		}
		return nil, refuse(http.StatusBadRequest, codeBadRequest, "The body could not be read.")
	}
	if len(text) == 0 {
		return nil, nil
	}
	kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, refuse(http.StatusUnsupportedMediaType, codeMediaType, "The body must be JSON, with Content-Type: application/json.")
	}
	return text, nil
}

// reportIgnored sets a header of the answer that names the parts of the request that have no effect
// in Rollcall.
func (c *call) reportIgnored(parts []string) {
	if len(parts) > 0 {
		c.w.Header().Set("Rollcall-Ignored", strings.Join(parts, ", "))
	}
}

// toPrintable shortens a string from a client and replaces control characters, so that an answer
// can repeat it.
func toPrintable(text string) string {
	const most = 200
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError {
			return '?'
		}
		return r
	}, text)
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}
