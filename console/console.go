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

// Options are what the pages of both halves share.
type Options struct {
	// PublicURL is how people and identity providers reach this server, without a trailing slash. It makes the Tenant URL, and
	// https in it makes cookies Secure.
	PublicURL string
	Log       *slog.Logger
	Now       func() time.Time
	// NewLinks is a sentence that says how to get a new sign-in link, where a command on the server is not the way; empty elsewhere.
	NewLinks string
	// Retention says how long logs are kept; nil says nothing.
	Retention *retention.Pruner
	// Events takes the events of acts that change nothing, such as exports and refused pages; nil takes none.
	Events event.Recorder
	// Refused takes the events of refused pages and links; nil takes none.
	Refused *event.Refused
	// Version is shown at the foot of the menu.
	Version string
	// Drawn is told the name of each view that draws a page, such as "site/people"; nil is told nothing.
	Drawn func(view string)
}

// Console is the frame of all pages. Make one with New and give it to both page sets.
type Console struct {
	Options Options
	assets  *assets
	layout  *template.Template // layout.html and parts.html
	views   *Views             // of the frame itself: questions, errors, the sign-in
}

// Views are the page templates of one set, each inside the layout. A template is parsed when its page is first shown; a test
// shows every page.
type Views struct {
	console *Console
	set     string // "site", "directory"; empty for the frame's own
	parse   map[string]func() (*template.Template, error)
}

// New makes a console.
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
	c := &Console{Options: o, assets: a}
	c.layout, err = template.New("layout.html").Funcs(c.functions()).ParseFS(templateFiles, "layout.html", "parts.html")
	if err != nil {
		return nil, fmt.Errorf("parse the layout: %w", err)
	}
	c.views = c.Views("", templateFiles)
	return c, nil
}

// Views are the templates of a page set: each .html file but the layout and its parts is one view, named as the file.
func (c *Console) Views(set string, files fs.FS) *Views {
	names, _ := fs.Glob(files, "*.html") // the pattern is well formed, which is the only error there is
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

// functions are what templates may call. They shape what a page struct already decided.
func (c *Console) functions() template.FuncMap {
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

// icon draws one symbol of assets/vendor/icons.svg. It is decoration: what it means stands beside it in words.
func (c *Console) icon(name string) template.HTML {
	return template.HTML(`<svg class="icon" aria-hidden="true" focusable="false"><use href="` + //nolint:gosec // both parts are ours
		template.HTMLEscapeString(c.assets.url("icons.svg")+"#"+name) + `"></use></svg>`)
}

// Assets serves /assets/…: mount it at that path.
func (c *Console) Assets() http.Handler { return c.assets }

// View shows a page of the frame itself.
func (c *Console) View(w http.ResponseWriter, r *http.Request, status int, name string, data any) error {
	return c.views.Show(w, r, status, name, data)
}

// Show writes a page. It is rendered whole before the first byte leaves, so that a broken page is a 500 and not half a page.
func (v *Views) Show(w http.ResponseWriter, r *http.Request, status int, name string, data any) error {
	parse, ok := v.parse[name]
	if !ok {
		return fmt.Errorf("there is no page template %q", path.Join(v.set, name))
	}
	set, err := parse()
	if err != nil {
		return err
	}
	if drawn := v.console.Options.Drawn; drawn != nil {
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
		// A form or an address may hold bytes that are no text; the page says that it is UTF-8.
		w.Write(bytes.ToValidUTF8(b.Bytes(), []byte("\ufffd"))) //nolint:errcheck // the reader has gone
	}
	return nil
}

// Redirect answers a form: the browser asks for target with GET, and the notice is shown there once.
func (c *Console) Redirect(w http.ResponseWriter, r *http.Request, target string, n Notice) error {
	if n.Text != "" || n.Title != "" {
		c.leaveNotice(w, r, n)
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, target, http.StatusSeeOther)
	return nil
}

// secure reports whether cookies may only travel over https.
func (c *Console) secure(r *http.Request) bool {
	return strings.HasPrefix(c.Options.PublicURL, "https://") || web.Secure(r)
}
