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
	// NewLinks is a sentence that explains how to get a new sign-in link. If it is empty, pages
	// show a command that creates a link on the server.
	NewLinks string
	// Retention knows how long logs are kept. If it is nil, pages do not say how long.
	Retention *retention.Pruner
	// Events records events about actions that change nothing, such as exports. nil records none.
	Events event.Recorder
	// Refused records events about pages and sign-in links that were refused. nil records none.
	Refused *event.Refused
	// Version is the version of Rollcall, which pages show at the bottom of the menu.
	Version string
	// OnViewShown is called each time a view is shown, with the name of the view, such as
	// "site/people". It may be nil.
	OnViewShown func(view string)
}

// Console provides the frame of all pages. Create it with New and give it to both page sets.
type Console struct {
	Options Options
	assets  *assets
	layout  *template.Template // the templates in layout.html and parts.html
	views   *Views             // the views of this package, such as confirmation, error and sign-in pages

	failures *web.Throttle // counts failed sign-ins by site and network: unknown links, unknown recovery codes, and refused OpenID sign-ins of operators
	starts   *web.Throttle // counts sign-ins of operators that were sent to their provider, by network
}

// Views holds the page templates of one page set. Each page is shown inside the layout. A template
// is parsed when its page is shown for the first time. A test shows every page.
type Views struct {
	console    *Console
	setName    string                                        // "site" or "directory"; empty for the views of this package
	parseFuncs map[string]func() (*template.Template, error) // by the name of the view: parses the template once, and returns it
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
	c := &Console{Options: o, assets: a, failures: web.NewFailureThrottle(), starts: web.NewThrottle(startsAtOnce, startsEvery)}
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
	names, _ := fs.Glob(files, "*.html") // an error is possible only for a malformed pattern
	v := &Views{console: c, setName: set, parseFuncs: make(map[string]func() (*template.Template, error))}
	for _, file := range names {
		if file == "layout.html" || file == "parts.html" {
			continue
		}
		v.parseFuncs[strings.TrimSuffix(file, ".html")] = sync.OnceValues(func() (*template.Template, error) {
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

// templateFunctions returns the functions that templates may call. They only format values.
// Decisions are made in Go, before a template is executed.
func (c *Console) templateFunctions() template.FuncMap {
	return template.FuncMap{
		"asset":   c.assets.url,
		"icon":    c.icon,
		"ago":     c.agoHTML,
		"stamp":   Timestamp,
		"clock":   clockHTML,
		"number":  GroupDigits,
		"reveal":  visible.Reveal,
		"version": func() string { return c.Options.Version },
	}
}

// icon returns the HTML of a symbol from assets/vendor/icons.svg. Screen readers ignore the symbol,
// because the text next to it has the same meaning.
func (c *Console) icon(name string) template.HTML {
	return template.HTML(`<svg class="icon" aria-hidden="true" focusable="false"><use href="` + //nolint:gosec // both parts are ours
		template.HTMLEscapeString(c.assets.url("icons.svg")+"#"+name) + `"></use></svg>`)
}

// Assets returns the handler for the path /assets/.
func (c *Console) Assets() http.Handler { return c.assets }

// View shows a page of this package, such as a confirmation page.
func (c *Console) View(w http.ResponseWriter, r *http.Request, status int, name string, data any) error {
	return c.views.Show(w, r, status, name, data)
}

// Show renders a view and responds with it. It writes nothing before rendering is complete, so that
// a broken template leads to an error page and not to half a page. It returns an error if the view
// does not exist or cannot be rendered.
func (v *Views) Show(w http.ResponseWriter, r *http.Request, status int, name string, data any) error {
	b, err := v.render(name, "layout.html", data)
	if err != nil {
		return err
	}
	if drawn := v.console.Options.OnViewShown; drawn != nil {
		drawn(path.Join(v.setName, name))
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Cookie")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(b) //nolint:errcheck // it fails only if the client has disconnected
	}
	return nil
}

// Live renders the template "live" of a view: the parts of the page that change while it is open.
// It returns an error if the view does not exist or cannot be rendered.
func (v *Views) Live(name string, data any) ([]byte, error) { return v.render(name, "live", data) }

// render executes one template of a view.
func (v *Views) render(name, part string, data any) ([]byte, error) {
	parse, ok := v.parseFuncs[name]
	if !ok {
		return nil, fmt.Errorf("there is no page template %q", path.Join(v.setName, name))
	}
	set, err := parse()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := set.ExecuteTemplate(&b, part, data); err != nil {
		return nil, fmt.Errorf("show page %s: %w", name, err)
	}
	// Forms and addresses may contain invalid UTF-8, but the page must be valid UTF-8.
	return bytes.ToValidUTF8(b.Bytes(), []byte("\ufffd")), nil
}

// Redirect makes the browser load target with a GET. The page at target shows the notice once. An
// empty notice is not shown.
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
	return strings.HasPrefix(c.Options.PublicURL, "https://") || web.IsSecure(r)
}
