package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/site"
)

// logPage is the view "site_log": what the identity provider asked of this site, and what it got.
type logPage struct {
	page
	Tabs    []tab
	Filter  logFilter
	Results []option
	Rows    []logRow
	Empty   emptyState
	Pager   pager
}

// logFilter is what the reader asked to see.
type logFilter struct {
	Action string
	Search string
	All    bool // reads too
	Set    bool // something narrows the list
	Clear  string
}

// option is one entry of a select.
type option struct {
	Value, Text string
	Here        bool
}

// logRow is one SCIM request.
type logRow struct {
	Time     time.Time
	Who      string
	WhoURL   string
	What     string
	Result   badge
	Asked    string
	Millis   string
	Token    string
	Remote   string
	Fixes    []string
	Ignored  []string
	FullPath string
	Subject  string
	ID       string
}

const logLimit = 50

func (p *SitePages) showLog(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	q := r.URL.Query()
	query := site.RequestQuery{
		Search: strings.TrimSpace(q.Get("q")), Result: resultOf(q.Get("result")),
		OnlyChanges: q.Get("show") != "all", Before: q.Get("before"), Limit: logLimit,
	}
	rows, next, err := p.Sites.Requests(r.Context(), v.Site.ID, query)
	if errors.Is(err, site.ErrInvalid) {
		return p.Console.redirect(w, r, v.url("admin/access/log"), notice{})
	}
	if err != nil {
		return err
	}
	tokens, recent, err := p.scimFacts(r.Context(), v)
	if err != nil {
		return err
	}
	state := judge(v.Site, tokens, recent, p.Console.options.Now())
	pg := v.page
	pg.Title, pg.Badge, pg.StatusLine = "Provisioning log", state.Badge(), state.Sentence
	pg.Lead = "What your identity provider asked of this site, what was done, and what it was told. Changes and refusals are written at once; reads and a token’s last use are gathered and written each second, and so are calls without a right token, of which few are kept when they are many."
	pg.Crumbs = v.crumbs(crumb{"Access management", v.url("admin/access")})
	self := v.url("admin/access/log")
	l := logPage{
		page:    pg,
		Filter:  logFilter{Action: self, Search: query.Search, All: !query.OnlyChanges, Set: query.Search != "" || query.Result != site.AnyResult, Clear: withQuery(self, q, "q", "", "result", "", "before", "")},
		Results: resultOptions(query.Result),
		Tabs: []tab{
			{Text: "Changes and refusals", URL: withQuery(self, q, "show", "", "before", ""), Here: query.OnlyChanges},
			{Text: "Everything", URL: withQuery(self, q, "show", "all", "before", ""), Here: !query.OnlyChanges},
		},
		Empty: emptyLog(query, withQuery(self, q, "show", "all", "q", "", "result", "", "before", ""), len(recent) > 0),
	}
	for _, row := range rows {
		l.Rows = append(l.Rows, rowOf(v, row))
	}
	l.Pager = pager{Text: logCount(len(rows), query, next != "")}
	if query.Before != "" {
		l.Pager.First = withQuery(self, q, "before", "")
	}
	if next != "" {
		l.Pager.Next = withQuery(self, q, "before", next)
	}
	return p.Console.view(w, r, http.StatusOK, "site_log", l)
}

func logCount(n int, q site.RequestQuery, more bool) string {
	text := count(n, "call")
	if more && n == 0 {
		text = "None among the calls looked through so far; older ones follow"
	} else if more {
		text += ", older ones follow"
	}
	if q.Before != "" {
		text += ", from further back"
	}
	return text
}

func emptyLog(q site.RequestQuery, all string, any bool) emptyState {
	switch {
	case q.Search != "" || q.Result != site.AnyResult || q.Before != "":
		return emptyState{Icon: "search", Title: "No call fits", Text: "Nothing in the log matches what you asked to see.", Action: &action{Text: "Show everything", URL: all}}
	case any:
		return emptyState{
			Icon: "scroll-text", Title: "No changes and no refusals yet", Text: "Your identity provider has only read so far. Reads are listed under Everything.",
			Action: &action{Text: "Show everything", URL: all},
		}
	}
	return emptyState{Icon: "scroll-text", Title: "Nobody has called yet", Text: "Each call of your identity provider appears here within a second."}
}

func rowOf(v *siteVisit, r site.Request) logRow {
	row := logRow{
		ID: r.ID, Time: r.Time, Who: r.UserName, What: r.Sentence, Result: resultBadge(r),
		Asked: r.Method + " " + shortPath(v, r.Path), FullPath: r.Method + " " + r.Path, Millis: millis(r.Duration),
		Remote: r.Remote, Fixes: r.Fixes, Ignored: r.Ignored, Subject: r.Subject,
	}
	if r.TokenLast4 != "" {
		row.Token = "…" + r.TokenLast4
		if r.TokenID == "" {
			row.Token += " (not a live token of this site)"
		}
	}
	if r.Subject != "" && r.Status < http.StatusBadRequest && r.Method != http.MethodDelete {
		row.WhoURL = v.url("admin/people/" + url.PathEscape(r.Subject))
	}
	return row
}

// shortPath leaves out what every path of the site's endpoint begins with, shortens ids, and writes a filter as it reads.
func shortPath(v *siteVisit, path string) string {
	if rest, ok := strings.CutPrefix(path, v.url("auth/scim/v2")); ok && rest != "" {
		path = rest
	}
	path, query, asked := strings.Cut(path, "?")
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if len(part) > longestShown {
			parts[i] = strings.ToValidUTF8(part[:8], "") + "…"
		}
	}
	path = strings.Join(parts, "/")
	if !asked {
		return path
	}
	if plain, err := url.QueryUnescape(query); err == nil {
		query = plain
	}
	return path + "?" + query
}

// longestShown is the longest part of a path that the table shows whole: ServiceProviderConfig.
const longestShown = 21

func millis(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000)
	}
	return fmt.Sprint(d.Milliseconds())
}

func resultBadge(r site.Request) badge {
	b := badge{Text: fmt.Sprint(r.Status)}
	switch r.Result() {
	case site.Refused:
		b.Tone, b.Hint = bad, "Refused"
	case site.Ignored:
		b.Tone, b.Hint = warn, "Answered; something was deliberately not applied"
	default:
		b.Tone, b.Hint = ok, "Done"
	}
	return b
}

func resultOf(text string) site.Result {
	switch r := site.Result(text); r {
	case site.Done, site.Ignored, site.Refused:
		return r
	}
	return site.AnyResult
}

func resultOptions(here site.Result) []option {
	list := []option{
		{Value: "", Text: "Any result"},
		{Value: string(site.Done), Text: "Done"},
		{Value: string(site.Ignored), Text: "Not applied in part"},
		{Value: string(site.Refused), Text: "Refused"},
	}
	for i := range list {
		list[i].Here = list[i].Value == string(here)
	}
	return list
}

// withQuery is path with the query q, in which each name of pairs has its new value; an empty one leaves it out.
func withQuery(path string, q url.Values, pairs ...string) string {
	next := url.Values{}
	for _, name := range []string{"q", "status", "role", "result", "show", "before", "after"} {
		if value := q.Get(name); value != "" {
			next.Set(name, value)
		}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		next.Del(pairs[i])
		if pairs[i+1] != "" {
			next.Set(pairs[i], pairs[i+1])
		}
	}
	if len(next) == 0 {
		return path
	}
	return path + "?" + next.Encode()
}
