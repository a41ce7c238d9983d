package apptest_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/apptest"
)

// hostileWorld is a real server with one site, one person in it, and its token.
type hostileWorld struct {
	server
	address string // host:port
	token   string
	base    string // path of the SCIM endpoint
	ada     string // id of the person
}

const publicURL = "https://people.example.test"

func newHostileWorld(t *testing.T, env []string) *hostileWorld {
	t.Helper()
	p := apptest.Start(t, env, "serve", "--listen", "127.0.0.1:0", "--public-url", publicURL)
	m := regexp.MustCompile(`address=(\S+)`).FindStringSubmatch(p.Await(t, "msg=serving"))
	if m == nil {
		t.Fatal("no address")
	}
	apptest.Run(t, env, "site", "create", "acme", "--profile", "full")
	apptest.Run(t, env, "site", "create", "globex", "--profile", "full")
	w := &hostileWorld{server: server{p, "http://" + m[1]}, address: m[1], base: "/c/acme/auth/scim/v2"}
	w.token = strings.TrimSpace(apptest.Run(t, env, "token", "create", "acme"))
	made := w.ask(t, w.request("POST", "/Users", "Connection: close\r\n", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada@acme.test"}`))
	var doc struct{ ID string }
	if err := json.Unmarshal(made[0].body, &doc); err != nil || made[0].status != http.StatusCreated {
		t.Fatalf("got %d %s, %v", made[0].status, made[0].body, err)
	}
	w.ada = doc.ID
	return w
}

// got is one answer as the client received it.
type got struct {
	status int
	header http.Header
	body   []byte
	took   time.Duration // until the answer started, from when the client was connected
}

// request builds a request; more are header lines, each with its line end.
func (w *hostileWorld) request(method, path, more, body string) string {
	r := fmt.Sprintf("%s %s%s HTTP/1.1\r\nHost: acme.test\r\nAuthorization: Bearer %s\r\n%s", method, w.base, path, w.token, more)
	if body != "" && !strings.Contains(more, "Transfer-Encoding") && !strings.Contains(more, "Content-Length") {
		r += fmt.Sprintf("Content-Type: application/scim+json\r\nContent-Length: %d\r\n", len(body))
	}
	return r + "\r\n" + body
}

// ask sends bytes on a new connection, and returns every answer until the server closes it.
func (w *hostileWorld) ask(t *testing.T, raw string) []got {
	t.Helper()
	return w.talk(t, false, func(conn io.Writer) error {
		_, err := io.WriteString(conn, raw)
		return err
	})
}

// talk is like ask, but calls write to send the bytes. With half, it closes the client's side after
// that.
func (w *hostileWorld) talk(t *testing.T, half bool, write func(conn io.Writer) error) (answers []got) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", w.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	go func() {
		// The server may answer and close before it has read everything.
		if err := write(conn); err == nil && half {
			_ = conn.(*net.TCPConn).CloseWrite()
		}
	}()
	in := bufio.NewReader(conn)
	start := time.Now()
	for {
		resp, err := http.ReadResponse(in, nil)
		took := time.Since(start)
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the connection stays open after %d answers", len(answers))
			}
			return answers
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Errorf("%d broke off: %v", resp.StatusCode, err)
		}
		answers = append(answers, got{resp.StatusCode, resp.Header, body, took})
	}
}

// memory returns the peak resident size of a process, if the system reports it.
func memory(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "unknown"
	}
	m := regexp.MustCompile(`VmHWM:\s*(.*)`).FindSubmatch(text)
	if m == nil {
		return "unknown"
	}
	return string(m[1])
}

func TestHostileRequestsToARealServer(t *testing.T) {
	t.Parallel()
	for kind, env := range map[string]func(*testing.T) []string{
		"sqlite": func(t *testing.T) []string {
			return []string{"ROLLCALL_DATABASE=" + filepath.Join(t.TempDir(), "r.db")}
		},
		"postgres": sharedPostgres,
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newHostileWorld(t, env(t))
			for _, c := range hostileCases(w) {
				t.Run(c.name, func(t *testing.T) {
					if c.write == nil {
						c.write = func(conn io.Writer) error {
							_, err := io.WriteString(conn, c.raw)
							return err
						}
					}
					answers := w.talk(t, c.half, c.write)
					c.check(t, answers)
					if len(answers) > 0 {
						t.Logf("answered after %s, peak memory %s", answers[0].took.Round(time.Millisecond), memory(t, w.PID()))
					}
				})
			}
			w.checkUnharmed(t)
			w.checkManyTimesTheSameMember(t)
		})
	}
}

// TestARequestThatNeverEndsIsCutOff sends a header line now and then, without end.
func TestARequestThatNeverEndsIsCutOff(t *testing.T) {
	t.Parallel()
	w := newHostileWorld(t, []string{"ROLLCALL_DATABASE=" + filepath.Join(t.TempDir(), "r.db")})
	ended := errors.New("the server has ended the connection")
	if answers := w.talk(t, false, func(conn io.Writer) error {
		_, err := io.WriteString(conn, "GET "+w.base+"/Users HTTP/1.1\r\nHost: acme.test\r\n")
		for err == nil {
			select {
			case <-t.Context().Done():
				return ended
			case <-time.After(500 * time.Millisecond):
				_, err = io.WriteString(conn, "X-Slow: 1\r\n")
			}
		}
		return ended
	}); len(answers) > 0 {
		t.Errorf("got %v", answers)
	}
}

// hostileCase is one thing that a hostile client sends, and the answer it must get.
type hostileCase struct {
	name   string
	raw    string
	write  func(io.Writer) error // used instead of raw
	half   bool                  // the client sends nothing more
	status []int                 // of each answer, in order
	// scimType of the last answer; "-" means a SCIM error without one; "" means an answer that is
	// not SCIM
	scim string
	says string // text in the last answer
}

func (c hostileCase) check(t *testing.T, answers []got) {
	t.Helper()
	var statuses []int
	for _, a := range answers {
		statuses = append(statuses, a.status)
		for name := range a.header {
			if strings.EqualFold(name, "X-Injected") || name == "Set-Cookie" {
				t.Errorf("a header was injected: %v", a.header)
			}
		}
	}
	if fmt.Sprint(statuses) != fmt.Sprint(c.status) {
		t.Errorf("got %v, want %v", statuses, c.status)
	}
	if len(answers) == 0 {
		return
	}
	last := answers[len(answers)-1]
	if !bytes.Contains(last.body, []byte(c.says)) {
		t.Errorf("got %.400s, want it to say %q", last.body, c.says)
	}
	if c.scim == "" {
		return
	}
	var e struct{ Status, ScimType, Detail string }
	if err := json.Unmarshal(last.body, &e); err != nil || e.Status != fmt.Sprint(last.status) || e.Detail == "" || last.header.Get("Content-Type") != "application/scim+json" {
		t.Errorf("%d is not in the SCIM form: %.400s", last.status, last.body)
	}
	if e.ScimType == "" {
		e.ScimType = "-"
	}
	if e.ScimType != c.scim {
		t.Errorf("got scimType %q, want %q", e.ScimType, c.scim)
	}
}

// checkUnharmed checks what is left after all cases: one person, no group, and a server that
// answers.
func (w *hostileWorld) checkUnharmed(t *testing.T) {
	t.Helper()
	for path, want := range map[string]int{"/Users": 1, "/Groups": 0} {
		answers := w.ask(t, w.request("GET", path, "Connection: close\r\n", ""))
		var list struct{ TotalResults int }
		if err := json.Unmarshal(answers[0].body, &list); err != nil || list.TotalResults != want {
			t.Errorf("%s: got %s, want %d", path, answers[0].body, want)
		}
	}
	for line := range strings.Lines(w.Stderr()) {
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "panic") || strings.Contains(line, w.token) || strings.Contains(line, "X-Injected") {
			t.Errorf("the log of the server says %s", line)
		}
	}
}

// checkManyTimesTheSameMember creates a group that names one person a million times. It must have
// one member.
func (w *hostileWorld) checkManyTimesTheSameMember(t *testing.T) {
	t.Helper()
	members := strings.Repeat(`{"value":"`+w.ada+`"},`, 500_000) + strings.Repeat(`{"value":"nobody"},`, 500_000) + `{"value":"` + strings.ToUpper(w.ada) + `"}`
	answers := w.ask(t, w.request("POST", "/Groups", "Connection: close\r\n", `{"displayName":"Everybody","members":[`+members+`]}`))
	var doc struct{ Members []struct{ Value string } }
	if err := json.Unmarshal(answers[0].body, &doc); err != nil || answers[0].status != http.StatusCreated || len(doc.Members) != 1 || doc.Members[0].Value != w.ada {
		t.Errorf("got %d %.400s", answers[0].status, answers[0].body)
	}
	t.Logf("a member a million times: answered after %s, peak memory %s", answers[0].took.Round(time.Millisecond), memory(t, w.PID()))
}

func hostileCases(w *hostileWorld) []hostileCase {
	const userURN, groupURN = "urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:core:2.0:Group"
	closing := "Connection: close\r\n"
	get := func(path string) string { return w.request("GET", path, closing, "") }
	send := func(method, path, body string) string { return w.request(method, path, closing, body) }
	user := func(rest string) string {
		return send("POST", "/Users", `{"schemas":["`+userURN+`"],"userName":"x"`+rest+`}`)
	}
	patch := func(operations string) string {
		return send("PATCH", "/Users/"+w.ada, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[`+operations+`]}`)
	}
	search := func(members string) string { return send("POST", "/Users/.search", `{`+members+`}`) }
	times := func(n int, text string) string { return strings.Repeat(text+",", n-1) + text }
	nested := strings.Repeat("(", 10_000) + "id pr" + strings.Repeat(")", 10_000)
	at := "GET " + w.base + "/Users HTTP/1.1\r\nHost: acme.test\r\n"
	authorized := "Authorization: Bearer " + w.token + "\r\n"
	post := "POST " + w.base + "/Users HTTP/1.1\r\nHost: acme.test\r\n" + authorized
	chunk := func(size int) []byte { return fmt.Appendf(nil, "%x\r\n%s\r\n", size, bytes.Repeat([]byte(" "), size)) }
	// group sends a group with n members as a stream, and then tail.
	group := func(head, member string, n int, tail string) func(io.Writer) error {
		return func(conn io.Writer) error {
			out := bufio.NewWriterSize(conn, 1<<20)
			fmt.Fprint(out, w.request("POST", "/Groups", closing+fmt.Sprintf("Content-Length: %d\r\n", len(head)+n*(len(member)+1)-1+len(tail)), "")+head)
			for i := range n {
				if i > 0 {
					out.WriteByte(',')
				}
				out.WriteString(member)
			}
			out.WriteString(tail)
			return out.Flush()
		}
	}
	named := `{"schemas":["` + groupURN + `"],"displayName":"Everybody","members":[`
	member := `{"value":"` + w.ada + `"}`
	return []hostileCase{
		// Deep, long and wide requests.
		{name: "a filter nested 10,000 deep", raw: get("/Users?filter=" + url.QueryEscape(nested)), status: []int{400}, scim: "invalidFilter", says: "nests brackets deeper"},
		{name: "a filter nested 10,000 deep in a search", raw: search(`"filter":"` + nested + `"`), status: []int{400}, scim: "invalidFilter", says: "nests brackets deeper"},
		{name: "a body of 50 MB", raw: user(`,"title":"` + strings.Repeat("x", 50_000_000) + `"`), status: []int{413}, scim: "-", says: "larger than 1048576 bytes"},
		{name: "a body of 50 MB in chunks", write: func(conn io.Writer) error {
			_, err := io.WriteString(conn, post+"Transfer-Encoding: chunked\r\n\r\n")
			for range 50 {
				if err == nil {
					_, err = conn.Write(chunk(1_000_000))
				}
			}
			if err == nil {
				_, err = io.WriteString(conn, "0\r\n\r\n")
			}
			return err
		}, status: []int{413}, scim: "-", says: "larger than 1048576 bytes"},
		{name: "a PATCH with 100,000 operations", raw: patch(times(100_000, `{"op":"replace","path":"title","value":"x"}`)), status: []int{413}, scim: "-", says: "larger than"},
		{name: "a PATCH with 100,000 small operations", raw: patch(times(100_000, `{}`)), status: []int{413}, scim: "-", says: "100000 operations"},
		{name: "duplicate keys", raw: user(`,"userName":"y"`), status: []int{400}, scim: "invalidSyntax", says: "twice"},
		{name: "invalid UTF-8", raw: user(",\"title\":\"\xc3\x28\""), status: []int{400}, scim: "invalidSyntax", says: "UTF-8"},
		{name: "..%2f", raw: get("/Users/..%2f..%2fadmin"), status: []int{400}, scim: "-", says: "encoded slash"},

		// Numbers, strings and encodings.
		{name: "JSON nested 10,000 deep", raw: user(`,"name":` + strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000)), status: []int{400}, scim: "invalidSyntax", says: "nested deeper than 16"},
		{name: "a number of 1 MB", raw: patch(`{"op":"replace","path":"active","value":` + strings.Repeat("9", 1_000_000) + `}`), status: []int{400}, scim: "invalidValue", says: "active must be true or false"},
		{name: "1e400", raw: search(`"count":1e400`), status: []int{400}, scim: "invalidValue", says: "count"},
		{name: "an exponent of a megabyte", raw: search(`"startIndex":1e` + strings.Repeat("9", 1_000_000)), status: []int{400}, scim: "invalidValue", says: "startIndex of"},
		{name: "a filter with 1e400", raw: get("/Users?filter=" + url.QueryEscape(`meta.lastModified gt 1e400`)), status: []int{400}, scim: "invalidFilter"},
		{name: "NUL", raw: user(`,"title":"a\u0000b"`), status: []int{400}, scim: "invalidValue", says: "NUL"},
		{name: "a raw NUL", raw: user(",\"title\":\"a\x00b\""), status: []int{400}, scim: "invalidSyntax", says: "control character"},
		{name: "a lone surrogate", raw: user(`,"title":"\udfff"`), status: []int{400}, scim: "invalidSyntax", says: "surrogate"},
		{name: "UTF-16", raw: send("POST", "/Users", "\xff\xfe{\x00}\x00"), status: []int{400}, scim: "invalidSyntax", says: "UTF-8"},
		{name: "two documents", raw: send("POST", "/Users", `{"userName":"x"}{"userName":"y"}`), status: []int{400}, scim: "invalidSyntax"},
		{name: "comments", raw: send("POST", "/Users", `{/*x*/"userName":"x"}`), status: []int{400}, scim: "invalidSyntax"},
		{name: "a script in a string", raw: patch(`{"op":"replace","path":"active","value":"<script>alert(1)</script>"}`), status: []int{400}, scim: "invalidValue"},
		{name: "gzip", raw: w.request("POST", "/Users", closing+"Content-Encoding: gzip\r\n", "\x1f\x8b\x08\x00bomb"), status: []int{415}, scim: "-", says: "uncompressed"},

		// Large amounts.
		{name: "15,000 parameters", raw: get("/Users?" + strings.Repeat("a=1&", 15_000) + "count=0"), status: []int{200}},
		{name: "100,000 parameters", raw: get("/Users?" + strings.Repeat("a=1&", 100_000)), status: []int{431}},
		{name: "a parameter twice", raw: get("/Users?count=1&COUNT=2"), status: []int{400}, scim: "-", says: "twice"},
		{name: "a header of 100 kB", raw: w.request("GET", "/Users", "X-Long: "+strings.Repeat("x", 100_000)+"\r\n", ""), status: []int{431}},
		{name: "10,000 headers", raw: w.request("GET", "/Users", strings.Repeat("X-Many: 1\r\n", 10_000), ""), status: []int{431}},
		{name: "If-Match of 60 kB", raw: w.request("DELETE", "/Users/"+w.ada, closing+"If-Match: "+strings.Repeat(`"9",`, 15_000)+`"9"`+"\r\n", ""), status: []int{412}, scim: "-"},
		{name: "a filter of 10,000 or", raw: search(`"filter":"` + strings.Repeat(`id pr or `, 10_000) + `id pr"`), status: []int{400}, scim: "invalidFilter"},
		{name: "a filter that looks like a regular expression", raw: get("/Users?filter=" + url.QueryEscape(`userName co "`+strings.Repeat("(a+)+", 500)+`$"`)), status: []int{200}, says: `"totalResults":0`},
		{name: "a filter with SQL", raw: get("/Users?filter=" + url.QueryEscape(`userName sw "%' or 1=1 --"`)), status: []int{200}, says: `"totalResults":0`},
		{name: "100,000 attributes", raw: search(`"attributes":[` + times(100_000, `"title"`) + `]`), status: []int{200}, says: `"totalResults":1`},
		{name: "1,001 bulk operations", raw: send("POST", "/Bulk", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[`+times(1_001, `{"method":"DELETE","path":"/Users/x"}`)+`]}`), status: []int{413}, scim: "-", says: "maxOperations"},
		{name: "sortBy a path of the file system", raw: get("/Users?sortBy=../../etc/passwd"), status: []int{400}, scim: "invalidValue", says: "sortBy"},
		{name: "a site's name of 60 kB", raw: "GET /c/" + strings.Repeat("a", 60_000) + "/auth/scim/v2/Users HTTP/1.1\r\nHost: x\r\n" + closing + authorized + "\r\n", status: []int{401}, scim: "-"},

		{name: "a group of 30 MB with a bad end", write: group(named, member, 30_000_000/(len(member)+1), `],"externalId":`), status: []int{400}, scim: "invalidSyntax"},
		{name: "a group of 30 MB with a name twice", write: group(named, member, 30_000_000/(len(member)+1), `],"DisplayName":"Nobody"}`), status: []int{400}, scim: "invalidSyntax", says: "twice"},
		{name: "a group of 1,000,000 times nobody, nameless", write: group(`{"schemas":["`+groupURN+`"],"members":[`, `{"value":"nobody"}`, 1_000_000, `]}`), status: []int{400}, scim: "invalidValue", says: "displayName"},
		{name: "a group of 33 MiB", write: group(named, member, 33<<20/(len(member)+1)+1, `]}`), status: []int{413}, scim: "-", says: "larger than 33554432 bytes"},
		{name: "a member of 1 MB", write: group(named, `{"value":"`+strings.Repeat("x", 1<<20)+`"}`, 1, `]}`), status: []int{413}, scim: "-", says: "Value 1 of members"},

		// Paths.
		{name: "%00", raw: get("/Users/" + w.ada + "%00"), status: []int{400}, scim: "-", says: "cannot be printed"},
		{name: "a raw NUL in the path", raw: get("/Users/\x00"), status: []int{400}},
		{name: "an id that is not UTF-8", raw: get("/Users/%ff%fe"), status: []int{404}, scim: "-"},
		{name: "encoded twice", raw: get("/Users/%252e%252e%252fadmin"), status: []int{404}, scim: "-"},
		{name: "path parameters", raw: get("/Users;v=1/" + w.ada + ";v=1"), status: []int{404}, scim: "-"},
		{name: "..;/", raw: get("/Users/..;/Groups"), status: []int{404}, scim: "-"},
		{name: "slashes", raw: get("////Users//" + w.ada + "//"), status: []int{200}, says: "ada@acme.test"},
		{name: "dots", raw: get("/./Users"), status: []int{400}, scim: "-"},
		{name: "quotes and brackets as they are", raw: get(`/Users?filter=emails[type%20eq%20"work"].value%20eq%20"nobody"`), status: []int{200}, says: `"totalResults":0`},
		{name: "spaces as they are", raw: get(`/Users?filter=userName eq "nobody"`), status: []int{400}},
		{name: "a site's name that is none", raw: "GET /c/ac%00me/auth/scim/v2/Users HTTP/1.1\r\nHost: x\r\n" + closing + authorized + "\r\n", status: []int{401}, scim: "-"},
		{name: "another site by the path", raw: "GET /c/globex/../acme/auth/scim/v2/Users HTTP/1.1\r\nHost: x\r\n" + closing + "\r\n", status: []int{307}},
		{name: "line ends in the path", raw: get("/Users/x%0d%0aX-Injected:%201"), status: []int{400}, scim: "-"},
		{name: "line ends in the query", raw: get("/Users?count=0&x=%0d%0aX-Injected:%201"), status: []int{200}},
		{name: "line ends in an id that is echoed", raw: get("/Schemas/x%0aX-Injected:1"), status: []int{400}, scim: "-"},

		// Who asks, and for what.
		{name: "Host of somebody else", raw: strings.Replace(get("/Users/"+w.ada), "Host: acme.test", "Host: evil.example", 1), status: []int{200}, says: `"location":"` + publicURL + "/c/acme/auth/scim/v2/Users/" + w.ada + `"`},
		{name: "an absolute request target", raw: strings.Replace(get("/Users/"+w.ada), "GET ", "GET http://evil.example", 1), status: []int{200}, says: `"location":"` + publicURL},
		{name: "X-Forwarded-Host of nobody's proxy", raw: w.request("GET", "/Users/"+w.ada, closing+"X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: gopher\r\nForwarded: host=evil.example\r\nX-Original-URL: /c/globex/auth/scim/v2/Users\r\n", ""), status: []int{200}, says: `"location":"` + publicURL},
		{name: "X-HTTP-Method-Override", raw: w.request("POST", "/Users/"+w.ada+"?_method=DELETE", closing+"X-HTTP-Method-Override: DELETE\r\nX-Method-Override: DELETE\r\nX-HTTP-Method: DELETE\r\n", "{}"), status: []int{405}, scim: "-"},
		{name: "a method in small letters", raw: send("delete", "/Users/"+w.ada, ""), status: []int{405}, scim: "-"},
		{name: "a method of 10 kB", raw: send(strings.Repeat("A", 10_000), "/Users", ""), status: []int{405}, scim: "-"},
		{name: "TRACE", raw: w.request("TRACE", "/Users", closing+"X-Secret: echo\r\n", ""), status: []int{405}, scim: "-"},
		{name: "OPTIONS *", raw: "OPTIONS * HTTP/1.1\r\nHost: x\r\n" + closing + "\r\n", status: []int{200}},
		{name: "CONNECT", raw: "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n" + closing + "\r\n", status: []int{404}},
		{name: "a token in the query", raw: "GET " + w.base + "/Users?access_token=" + w.token + "&token=" + w.token + " HTTP/1.1\r\nHost: x\r\n" + closing + "\r\n", status: []int{401}, scim: "-"},
		{name: "a token in the body", raw: "POST " + w.base + "/Users HTTP/1.1\r\nHost: x\r\n" + closing + "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: " + fmt.Sprint(len("access_token="+w.token)) + "\r\n\r\naccess_token=" + w.token, status: []int{401}, scim: "-"},
		{name: "two tokens", raw: at + closing + authorized + authorized + "\r\n", status: []int{401}, scim: "-"},
		{name: "another scheme", raw: at + closing + strings.Replace(authorized, "Bearer", "Basic", 1) + "\r\n", status: []int{401}, scim: "-"},
		{name: "a folded token", raw: at + closing + "Authorization: Bearer\r\n " + w.token + "\r\n\r\n", status: []int{200}},
		{name: "Authorization named in Connection", raw: at + "Connection: close, Authorization\r\n" + authorized + "\r\n", status: []int{200}},

		// HTTP itself.
		{name: "HTTP/1.0", raw: strings.Replace(get("/Users/"+w.ada), "HTTP/1.1", "HTTP/1.0", 1), status: []int{200}, says: "ada@acme.test"},
		{name: "HTTP/0.9", raw: "GET " + w.base + "/Users\r\n\r\n", status: []int{400}},
		{name: "HTTP/9.9", raw: strings.Replace(get("/Users"), "HTTP/1.1", "HTTP/9.9", 1), status: []int{505}},
		{name: "three requests at once", raw: w.request("GET", "/Users?count=0", "", "") + w.request("GET", "/nothing", "", "") + get("/Users/"+w.ada), status: []int{200, 404, 200}, says: "ada@acme.test"},
		{name: "a body shorter than its length", half: true, raw: w.request("POST", "/Users", "Content-Length: 1000\r\n", `{"userName":"x"}`), status: []int{400}, scim: "-", says: "ended before"},
		{name: "a body longer than its length", raw: w.request("POST", "/Users", "Content-Type: application/json\r\nContent-Length: 2\r\n", "{}GET /evil HTTP/1.1\r\n\r\n"), status: []int{400, 400}},
		{name: "two lengths", raw: w.request("POST", "/Users", "Content-Length: 2\r\nContent-Length: 40\r\n", `{}`+get("/x")), status: []int{400}},
		{name: "a length with a sign", raw: w.request("POST", "/Users", "Content-Length: +2\r\n", `{}`), status: []int{400}},
		{name: "a negative length", raw: w.request("POST", "/Users", "Content-Length: -1\r\n", `{}`), status: []int{400}},
		{name: "a length and chunks", raw: w.request("POST", "/Users", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n") + get("/nothing"), status: []int{400, 404}, scim: "-"}, // the length does not count
		{name: "an encoding that is none", raw: w.request("POST", "/Users", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), status: []int{501}},
		{name: "chunked twice", raw: w.request("POST", "/Users", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"), status: []int{501}},
		{name: "a chunk whose size is none", raw: w.request("POST", "/Users", "Transfer-Encoding: chunked\r\n", "zz\r\n{}\r\n0\r\n\r\n"), status: []int{400}, scim: "-"},
		{name: "a chunk beyond 64 bits", raw: w.request("POST", "/Users", "Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n{}\r\n0\r\n\r\n"), status: []int{400}, scim: "-"},
		{name: "an extension of a chunk without end", raw: w.request("POST", "/Users", "Transfer-Encoding: chunked\r\n", "2;"+strings.Repeat("x", 1<<20)+"\r\n{}\r\n0\r\n\r\n"), status: []int{400}, scim: "-"},
		{name: "a space before the colon", raw: at + "Authorization : Bearer " + w.token + "\r\n\r\n", status: []int{400}},
		{name: "bare line feeds", raw: strings.ReplaceAll(get("/Users/"+w.ada), "\r\n", "\n"), status: []int{200}, says: "ada@acme.test"},
		{name: "a line end in a header", raw: at + "X-A: b\rX-Injected: 1\r\n\r\n", status: []int{400}},
		{name: "no Host", raw: "GET " + w.base + "/Users HTTP/1.1\r\n" + authorized + "\r\n", status: []int{400}},
		{name: "a Host that is none", raw: strings.Replace(get("/Users"), "acme.test", "a b", 1), status: []int{400}},
		{name: "an expectation before a body that is too large", raw: w.request("POST", "/Users", "Expect: 100-continue\r\nContent-Length: 50000000\r\n", ""), status: []int{413}, scim: "-"},
		{name: "an expectation that is none", raw: w.request("POST", "/Users", closing+"Expect: miracles\r\n", "{}"), status: []int{417}},
		{name: "an upgrade", raw: w.request("GET", "/Users?count=0", "Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n", ""), status: []int{200}},
		{name: "HTTP/2 without being asked", raw: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status: []int{400}},
		{name: "TLS where there is none", half: true, raw: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", status: []int{400}},

		// The pages, from outside.
		{name: "a link that is NUL", raw: "GET /c/acme/sign-in/%00%ff HTTP/1.1\r\nHost: x\r\n" + closing + "\r\n", status: []int{410}},
		{name: "a site that is NUL", raw: "GET /c/%00/admin/people HTTP/1.1\r\nHost: x\r\n" + closing + "\r\n", status: []int{404}},
		{name: "a cookie of 50 kB", raw: "GET /c/acme/ HTTP/1.1\r\nHost: x\r\n" + closing + "Cookie: __Host-rollcall-site-acme=" + strings.Repeat("x", 50_000) + "; rollcall-notice=" + strings.Repeat("_", 3_000) + "\r\n\r\n", status: []int{401}},
		{name: "a file beside the assets", raw: "GET /assets/..%2f..%2fetc%2fpasswd HTTP/1.1\r\nHost: x\r\n" + closing + "\r\n", status: []int{404}},
		{name: "a form of 10 MB", raw: "POST /c/acme/sign-in/x HTTP/1.1\r\nHost: x\r\n" + closing + "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 10000000\r\n\r\n" + strings.Repeat("a=1&", 2_500_000), status: []int{410}},
		{name: "a directory that is NUL", raw: "GET /d/%00/users?q=%00 HTTP/1.1\r\nHost: x\r\n" + closing + "\r\n", status: []int{401}},
	}
}
