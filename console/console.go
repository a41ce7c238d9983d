package console

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/visible"
	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/retention"
)

//go:embed *.html
var templateFiles embed.FS

// Options are the settings that all pages share.
type Options struct {
	// PublicURL is the address of this server for people and identity providers, without a trailing
	// slash. The Tenant URL starts with it. If it is an https URL, cookies are Secure.
	PublicURL string
	Log       *slog.Logger
	Now       func() time.Time
	// NewLinks is a sentence that explains how to get a new sign-in link. It is empty if people get
	// one with a command on the server.
	NewLinks string
	// Retention knows how long logs are kept. If it is nil, pages do not mention it.
	Retention *retention.Pruner
	// Events records events of actions that change nothing, such as exports. nil records none.
	Events event.Recorder
	// Refused records events of refused pages and links. nil records none.
	Refused *event.Refused
	// Version is shown at the bottom of the menu.
	Version string
	// OnViewShown is called with the name of each view that is shown, such as "site/people". It may
	// be nil.
	OnViewShown func(view string)
}

// Console draws the frame of all pages. Create one with New and give it to both page sets.
type Console struct {
	Options Options
	assets  *assets
	layout  *template.Template // layout.html and parts.html
	views   *Views             // views of the frame itself: questions, errors, the sign-in

	failures *web.Throttle // counts sign-ins with unknown links and recovery codes, and refused ones of operators, by site and network
	starts   *web.Throttle // counts sign-ins of operators that were sent to their provider, by network
}

// Views are the page templates of one set, each inside the layout. A template is parsed when its
// page is first shown; a test shows every page.
type Views struct {
	console *Console
	set     string                                        // "site" or "directory"; empty for the frame's own views
	parse   map[string]func() (*template.Template, error) // for each view, reads its template when it is first shown
}

// New creates a console. It returns an error if the layout or the assets cannot be read.
func New(o Options) (*Console, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.PublicURL = strings.TrimRight(o.PublicURL, "/")
	a, err := newAssets()
	if err != nil {
		return nil, err
	}
	c := &Console{Options: o, assets: a, failures: web.NewFailures(), starts: web.NewThrottle(startsAtOnce, startsEvery)}
	c.layout, err = template.New("layout.html").Funcs(c.templateFunctions()).ParseFS(templateFiles, "layout.html", "parts.html")
	if err != nil {
		return nil, fmt.Errorf("parse the layout: %w", err)
	}
	c.views = c.Views("", templateFiles)
	return c, nil
}

// Views returns the templates of a page set. Each .html file except the layout and its parts is one
// view with the name of the file.
func (c *Console) Views(set string, files fs.FS) *Views {
	names, _ := fs.Glob(files, "*.html") // the only possible error is a malformed pattern
	v := &Views{console: c, set: set, parse: make(map[string]func() (*template.Template, error))}
	for _, file := range names {
		if file == "layout.html" || file == "parts.html" {
			continue
		}
		v.parse[strings.TrimSuffix(file, ".html")] = sync.OnceValues(func() (*template.Template, error) {
			set, err := c.layout.Clone()
			if err == nil {
				set, err = set.ParseFS(files, file)
			}
			if err != nil {
				return nil, fmt.Errorf("parse page %s: %w", file, err)
			}
			return set, nil
		})
	}
	return v
}

// templateFunctions returns the functions that templates may call. They only format values; page
// structs make the decisions.
func (c *Console) templateFunctions() template.FuncMap {
	return template.FuncMap{
		"asset":   c.assets.url,
		"icon":    c.icon,
		"ago":     c.ago,
		"stamp":   Timestamp,
		"clock":   clock,
		"number":  GroupDigits,
		"reveal":  visible.Reveal,
		"version": func() string { return c.Options.Version },
	}
}

// icon draws a symbol of assets/vendor/icons.svg. The symbol is only decoration: the text next to
// it has the same meaning.
func (c *Console) icon(name string) template.HTML {
	return template.HTML(`<svg class="icon" aria-hidden="true" focusable="false"><use href="` + //nolint:gosec // both parts are ours
		template.HTMLEscapeString(c.assets.url("icons.svg")+"#"+name) + `"></use></svg>`)
}

// Assets returns the handler of /assets/; mount it at that path.
func (c *Console) Assets() http.Handler { return c.assets }

// View shows a page of the frame itself.
func (c *Console) View(w http.ResponseWriter, r *http.Request, status int, name string, data any) error {
	return c.views.Show(w, r, status, name, data)
}

// Show renders a view and writes it. It writes nothing before rendering is complete, so a broken
// page becomes an error with status 500 and not half a page. It returns an error if the view does
// not exist or cannot be rendered.
func (v *Views) Show(w http.ResponseWriter, r *http.Request, status int, name string, data any) error {
	parse, ok := v.parse[name]
	if !ok {
		return fmt.Errorf("there is no page template %q", path.Join(v.set, name))
	}
	set, err := parse()
	if err != nil {
		return err
	}
	if drawn := v.console.Options.OnViewShown; drawn != nil {
		drawn(path.Join(v.set, name))
	}
	var b bytes.Buffer
	if err := set.ExecuteTemplate(&b, "layout.html", data); err != nil {
		return fmt.Errorf("show page %s: %w", name, err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Cookie")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		// Forms and addresses may contain invalid UTF-8, but the page must be valid UTF-8.
		w.Write(bytes.ToValidUTF8(b.Bytes(), []byte("\ufffd"))) //nolint:errcheck // the client has gone
	}
	return nil
}

// Redirect responds to a form. The browser loads target with GET, and that page shows the notice
// once.
func (c *Console) Redirect(w http.ResponseWriter, r *http.Request, target string, n Notice) error {
	if n.Text != "" || n.Title != "" {
		c.leaveNotice(w, r, n)
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, target, http.StatusSeeOther)
	return nil
}

// isSecure reports whether cookies must be sent only over HTTPS.
func (c *Console) isSecure(r *http.Request) bool {
	return strings.HasPrefix(c.Options.PublicURL, "https://") || web.Secure(r)
}
