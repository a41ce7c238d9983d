package sitepages

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/retention"
	"github.com/rollcall-scim/rollcall/site"
)

// logPage is the data of the view "log": the identity provider's requests, with the site's
// responses.
type logPage struct {
	console.Page
	Tabs    []console.Tab
	Filter  listFilter
	Rows    []logRow
	Empty   console.EmptyState
	Pager   console.Pager
	PollURL string // address that the page polls for new rows; empty on older pages of the list, which never change
}

// listFilter is the form in which the user chooses which rows a list shows.
type listFilter struct {
	FormURL       string // address to which the form is sent
	Search        string
	From, To      string // the first and the last day, as they were typed into the form
	Results       []console.Option
	Methods       []console.Option
	Tokens        []console.Option
	IncludesReads bool   // whether the list includes requests that only read
	IsNarrowed    bool   // whether any filter leaves out rows
	ClearURL      string // address of the list without filters
	Error         *console.FieldError
}

// logRow shows one SCIM request and the site's response.
type logRow struct {
	ID            string
	Time          time.Time
	SubjectName   string // name of the user or group that the request is about
	Summary       string // what the request did, in a few words
	Result        console.Badge
	ShortRequest  string   // method and path, with the path shortened
	Milliseconds  string   // how long the request took, in milliseconds
	Remarks       []string // short remarks, such as "2 corrected"
	Note          string   // a sentence about this row; may be empty
	Changes       []changedValue
	UpdatedNames  []string          // names of the attributes that the request updated
	Sentence      string            // the complete sentence about the request, unshortened
	SubjectURL    string            // address of the person's page; may be empty
	SubjectID     string            // id of the user or group that the request is about
	Fixes         []string          // corrections that the site made to the values of the request
	Ignored       []string          // parts of the request that the site did not apply
	Token         string            // the name of the token that the request came with
	ClientAddress string            // network address of the client
	FullRequest   string            // method and complete path
	Curl          console.CopyValue // the request as a curl command
}

// changedValue is the name of an attribute, with its value before and after the change.
type changedValue struct{ Name, Before, After string }

const maxLogRowsOnPage = 50

// logMethods lists the HTTP methods by which users can filter the log.
var logMethods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// parseLogQuery reads a query of the log from the parameters of an address. If a day is invalid, it
// returns a field error, and the query ignores that day.
func parseLogQuery(q url.Values, tokens []site.Token) (requestlog.Query, *console.FieldError) {
	query := requestlog.Query{
		Filter: requestlog.Filter{Result: parseResult(q.Get("result")), OnlyChanges: q.Get("show") != "all"},
		Search: strings.TrimSpace(q.Get("q")), Before: q.Get("before"), Limit: maxLogRowsOnPage,
	}
	if method := strings.ToUpper(q.Get("method")); slices.Contains(logMethods, method) {
		query.Method = method
	}
	token := q.Get("token")
	if token == requestlog.NoToken || slices.ContainsFunc(tokens, func(t site.Token) bool { return t.ID == token }) {
		query.Token = token
	}
	var wrong *console.FieldError
	query.From, query.Until, wrong = console.DayRange(q)
	return query, wrong
}

func (p *Pages) showLog(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	q := r.URL.Query()
	facts, err := p.readFacts(r.Context(), v)
	if err != nil {
		return err
	}
	query, wrong := parseLogQuery(q, facts.tokens)
	rows, next, err := p.Requests.Page(r.Context(), v.Site.ID, query)
	if errors.Is(err, refusal.Invalid) {
		return p.Console.Redirect(w, r, v.url("admin/access/log"), console.Notice{})
	}
	if err != nil {
		return err
	}
	state := decideState(v.Site, facts, p.Console.Options.Now())
	pg := v.page
	pg.Title, pg.Badge, pg.StatusLine = "Request log", state.Badge(), state.Detail()
	pg.Lead = "What your identity provider asked of this site, and what it got. Changes and refusals are written at once; reads and a token’s last use within a second or two. Of many calls without a token of this site only some are kept."
	kept, err := p.Console.RetentionText(r.Context(), string(v.Site.ID), console.RetainedLog{Kind: retention.Reads, Name: "Reads and calls without a token of this site"}, console.RetainedLog{Kind: retention.Changes, Name: "Changes and refusals"})
	if err != nil {
		return err
	}
	pg.Lead += kept
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Access management", URL: v.url("admin/access")})
	self := v.url("admin/access/log")
	pg.Actions = []console.Action{{Text: "Export CSV", Icon: "download", URL: console.WithQuery(v.url("admin/access/log/export"), q, "before", "")}}
	narrowed := isNarrowed(query) || wrong != nil
	l := logPage{
		Page: pg,
		Filter: listFilter{
			FormURL: self, Search: query.Search, From: q.Get("from"), To: q.Get("to"), IncludesReads: !query.OnlyChanges, Error: wrong,
			IsNarrowed: narrowed, ClearURL: console.WithQuery(self, nil, "show", q.Get("show")),
			Results: resultOptions(query.Result), Methods: methodOptions(query.Method), Tokens: tokenOptions(query.Token, facts.tokens),
		},
		Tabs: []console.Tab{
			{Text: "Changes and refusals", URL: console.WithQuery(self, q, "show", "", "before", ""), Selected: query.OnlyChanges},
			{Text: "Everything", URL: console.WithQuery(self, q, "show", "all", "before", ""), Selected: !query.OnlyChanges},
		},
		Empty: emptyLog(narrowed || query.Before != "", self+"?show=all", len(facts.calls) > 0),
	}
	for _, row := range rows {
		l.Rows = append(l.Rows, p.newLogRow(v, facts.tokens, row))
	}
	l.Pager = console.Pager{Text: logCountText(len(rows), query, next != "")}
	if query.Before == "" {
		l.PollURL = console.WithQuery(self, q, "before", "")
	} else {
		l.Pager.FirstURL = console.WithQuery(self, q, "before", "")
	}
	if next != "" {
		l.Pager.NextURL = console.WithQuery(self, q, "before", next)
	}
	return p.show(w, r, http.StatusOK, "log", l)
}

// isNarrowed reports whether a query has a search text or a filter, apart from the filter that
// leaves out successful reads.
func isNarrowed(q requestlog.Query) bool {
	all := q.Filter
	all.OnlyChanges = false
	return q.Search != "" || all != requestlog.Filter{}
}

// exportLog sends every row that matches the page's filters as a CSV file.
func (p *Pages) exportLog(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	tokens, err := p.Sites.Tokens(r.Context(), v.Site.ID)
	if err != nil {
		return err
	}
	query, wrong := parseLogQuery(r.URL.Query(), tokens)
	if wrong != nil {
		return p.Console.Redirect(w, r, console.WithQuery(v.url("admin/access/log"), r.URL.Query()), console.Notice{})
	}
	query.Before, query.Limit = "", 500
	page, next, err := p.Requests.Page(r.Context(), v.Site.ID, query)
	if err != nil {
		return err
	}
	header := []string{"time", "who", "whatWeDid", "result", "status", "method", "path", "milliseconds", "token", "from", "corrected", "notApplied", "scimId", "row"}
	of := console.ExportRecord{
		Scope: event.Site(string(v.Site.ID)), EventName: event.ExportRequestLog, ListTitle: "The request log", RowNoun: "call",
		Filter: console.FilterParameters(r.URL.Query(), "q", "result", "method", "token", "show", "from", "to"),
	}
	fill := func(line func(...string) error, sent *int) error {
		for {
			for _, c := range page {
				row := p.newLogRow(v, tokens, c)
				*sent++
				err := line(c.Time.UTC().Format(time.RFC3339Nano), c.UserName, c.Sentence, string(c.Result()), fmt.Sprint(c.Status), c.Method, c.Path, formatMillis(c.Duration),
					row.Token, c.Remote, strings.Join(c.Fixes, "; "), strings.Join(c.Ignored, "; "), c.Subject, c.ID)
				if err != nil {
					return err
				}
			}
			if next == "" {
				return nil
			}
			if page, next, err = p.rowsBefore(r.Context(), v, query, next); err != nil {
				return err
			}
		}
	}
	return p.Console.SendCSV(w, r, v.Site.Name+"-request-log.csv", header, func(line func(...string) error) error {
		return p.Console.RecordExport(r.Context(), of, func(sent *int) error { return fill(line, sent) })
	})
}

// rowsBefore returns a page of the request log that begins after the cursor before. The string is
// the cursor for the next page.
func (p *Pages) rowsBefore(ctx context.Context, v *siteVisit, q requestlog.Query, before string) ([]requestlog.Request, string, error) {
	q.Before = before
	return p.Requests.Page(ctx, v.Site.ID, q)
}

// logCountText says how many calls a page of the log shows, and whether there are older or newer
// calls.
func logCountText(n int, q requestlog.Query, more bool) string {
	text := console.Plural(n, "call")
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

// emptyLog returns the text that the page shows in place of an empty list.
func emptyLog(narrowed bool, all string, any bool) console.EmptyState {
	switch {
	case narrowed:
		return console.EmptyState{Icon: "search", Title: "No call fits", Text: "Nothing in the log matches what you asked to see.", Action: &console.Action{Text: "Show everything", URL: all}}
	case any:
		return console.EmptyState{
			Icon: "scroll-text", Title: "No changes and no refusals yet", Text: "Your identity provider has only read so far. Reads are listed under Everything.",
			Action: &console.Action{Text: "Show everything", URL: all},
		}
	}
	return console.EmptyState{Icon: "scroll-text", Title: "Nobody has called yet", Text: "Each call of your identity provider appears here within a second."}
}

func (p *Pages) newLogRow(v *siteVisit, tokens []site.Token, r requestlog.Request) logRow {
	row := logRow{
		ID: r.ID, Time: r.Time, SubjectName: r.UserName, Result: resultBadge(r), Sentence: r.Sentence,
		ShortRequest: r.Method + " " + shortPath(v, r.Path), FullRequest: r.Method + " " + r.Path, Milliseconds: formatMillis(r.Duration),
		ClientAddress: r.Remote, Fixes: r.Fixes, Ignored: r.Ignored, SubjectID: r.Subject, Token: p.tokenText(tokens, r),
		Curl: console.CopyValue{ID: "curl-" + r.ID, Label: "As curl, without the token", Value: curlCommand(p.Console.Options.PublicURL, r), Button: "Copy as curl"},
	}
	row.Summary, row.Changes, row.UpdatedNames = shortenSentence(r)
	switch {
	case r.TokenEnded():
		row.Summary = "Refused: the token has ended"
	case r.IsStranger() && r.Status == http.StatusUnauthorized && r.TokenLast4 == "":
		row.Summary = "Refused: no token of this site"
	case r.IsStranger() && r.Status == http.StatusUnauthorized:
		row.Summary = "Refused: unknown token, ending …" + r.TokenLast4
	}
	if attribute, random := connectionTestLookup(v, r); random != "" {
		row.SubjectName, row.Summary = "Test Connection", "Answered: nobody has the random "+attribute
		row.Note = "A Test Connection looks for a random value (" + random + ") to see whether this site can search by " + attribute + ". That nobody has it is the right answer."
	}
	if n := len(r.Fixes); n > 0 {
		row.Remarks = append(row.Remarks, console.GroupDigits(n)+" corrected")
	}
	if n := len(r.Ignored); n > 0 {
		row.Remarks = append(row.Remarks, console.GroupDigits(n)+" not applied")
	}
	if r.Subject != "" && r.Status < http.StatusBadRequest && r.Method != http.MethodDelete && !strings.Contains(r.Path, "/Groups") {
		row.SubjectURL = v.url("admin/people/" + url.PathEscape(r.Subject))
	}
	return row
}

// tokenText names the token that a call came with. It returns "" if the call had no token.
func (p *Pages) tokenText(tokens []site.Token, r requestlog.Request) string {
	name := ""
	if r.TokenLast4 != "" {
		name = "…" + r.TokenLast4
	}
	if r.IsStranger() {
		if name == "" {
			return ""
		}
		return name + " (not a token of this site)"
	}
	for _, t := range tokens {
		if t.ID == r.TokenID {
			name = t.Label()
		}
	}
	if r.TokenEnded() {
		name += " (ended)"
	}
	return name
}

// maxNamesShown is how many attribute names a row shows at most. The details below the row show all
// of them.
const maxNamesShown = 3

// shortenSentence shortens the log's sentence about a call. It also returns what the sentence says
// about attributes: the changes whose values it contains, and the names of the updated attributes.
func shortenSentence(r requestlog.Request) (short string, changes []changedValue, others []string) {
	if r.Status >= http.StatusBadRequest {
		return r.Sentence, nil, nil
	}
	parts := strings.Split(r.Sentence, " · ")
	for i, part := range parts {
		role, isRole := strings.CutPrefix(part, "Role ")
		before, after, hasRoles := strings.Cut(role, " → ")
		names, updated := strings.CutPrefix(part, "Updated ")
		switch {
		case part == "Deactivated":
			changes = append(changes, changedValue{"active", "true", "false"})
		case part == "Reactivated":
			changes = append(changes, changedValue{"active", "false", "true"})
		case isRole && hasRoles:
			changes = append(changes, changedValue{"userType", before, after})
		case updated:
			others = strings.Split(names, ", ")
			if more := len(others) - maxNamesShown; more > 0 {
				parts[i] = "Updated " + strings.Join(others[:maxNamesShown], ", ") + fmt.Sprintf(" and %d more", more)
			}
		}
	}
	return strings.Join(parts, " · "), changes, others
}

// randomLookupPattern matches a filter that compares one attribute with a random GUID (RFC 9562
// §5.4, version 4). Its first group is the attribute, its second group the GUID.
var randomLookupPattern = regexp.MustCompile(`^\s*(\w[\w.:-]*(?:\[[^\]]*\](?:\.\w+)?)?)\s+(?i:eq)\s+"([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12})"\s*$`)

// connectionTestLookup returns the attribute and the random value of a call by which an identity
// provider tests the connection. Such a call searches for a name or an address that is a random
// GUID, so that no one has it. For other calls it returns empty strings. Real ids and external ids
// can be GUIDs, so a search by id or externalId counts as a normal lookup.
func connectionTestLookup(v *siteVisit, r requestlog.Request) (attribute, random string) {
	path, query, asked := strings.Cut(strings.TrimPrefix(r.Path, v.url("auth/scim/v2")), "?")
	if !asked || r.Method != http.MethodGet || r.Status != http.StatusOK || r.Subject != "" || !strings.HasPrefix(r.Sentence, "Not found") {
		return "", ""
	}
	if path = strings.ToLower(strings.Trim(path, "/")); path != "users" && path != "groups" {
		return "", ""
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", ""
	}
	found := randomLookupPattern.FindStringSubmatch(values.Get("filter"))
	if found == nil || strings.EqualFold(found[1], "id") || strings.EqualFold(found[1], "externalId") {
		return "", ""
	}
	return found[1], found[2]
}

// curlCommand returns a curl command that repeats the call. The command takes the token from a
// shell variable. It takes the body from a file, because the log does not store bodies.
func curlCommand(base string, r requestlog.Request) string {
	quoted := func(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
	command := "curl -X " + quoted(r.Method) + " " + quoted(base+r.Path) + ` -H "Authorization: Bearer $TOKEN"`
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		command += " -H 'Content-Type: application/scim+json' --data @body.json"
	}
	return command
}

// shortPath returns the path of a call without the address of the site's SCIM endpoint, with long
// ids cut off, and with the query unescaped.
func shortPath(v *siteVisit, path string) string {
	if rest, ok := strings.CutPrefix(path, v.url("auth/scim/v2")); ok && rest != "" {
		path = rest
	}
	path, query, asked := strings.Cut(path, "?")
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if len(part) > maxSegmentShown {
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

// maxSegmentShown is the length up to which the table shows a segment of a path in full. It is the
// length of "ServiceProviderConfig".
const maxSegmentShown = 21

func formatMillis(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000)
	}
	return fmt.Sprint(d.Milliseconds())
}

func resultBadge(r requestlog.Request) console.Badge {
	b := console.Badge{Text: fmt.Sprint(r.Status)}
	switch r.Result() {
	case requestlog.Refused:
		b.Tone, b.Hint = console.ToneProblem, "Refused"
	case requestlog.Ignored:
		b.Tone, b.Hint = console.ToneWarning, "Answered; something was deliberately not applied"
	default:
		b.Tone, b.Hint = console.ToneGood, "Done"
	}
	return b
}

func parseResult(text string) requestlog.Result {
	switch r := requestlog.Result(text); r {
	case requestlog.Done, requestlog.Ignored, requestlog.Refused:
		return r
	}
	return requestlog.AnyResult
}

func resultOptions(here requestlog.Result) []console.Option {
	return console.SelectOption(string(here), []console.Option{
		{Value: "", Text: "Any result"},
		{Value: string(requestlog.Done), Text: "Done"},
		{Value: string(requestlog.Ignored), Text: "Not applied in part"},
		{Value: string(requestlog.Refused), Text: "Refused"},
	})
}

func methodOptions(here string) []console.Option {
	list := []console.Option{{Text: "Any method"}}
	for _, m := range logMethods {
		list = append(list, console.Option{Value: m, Text: m})
	}
	return console.SelectOption(here, list)
}

func tokenOptions(here string, tokens []site.Token) []console.Option {
	list := []console.Option{{Text: "Any token"}}
	for _, t := range tokens {
		list = append(list, console.Option{Value: t.ID, Text: t.Label()})
	}
	return console.SelectOption(here, append(list, console.Option{Value: requestlog.NoToken, Text: "No token of this site"}))
}
