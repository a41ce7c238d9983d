package provision_test

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/internal/outbound"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/provision/expr"
	"github.com/rollcall-scim/rollcall/provision/templates"
	"github.com/rollcall-scim/rollcall/scimclient"
)

// Conversations are recorded requests and answers between the engine and a server of another
// project. In each conversation the directory goes through the same story. testdata/conversations
// has a file for each server and dialect. TestConversations plays the story against a server that
// answers as the file says: the engine must send the same bytes in the same order.
//
// `make interop RECORD=1` records the conversations: it runs this test with these variables for
// each server.
const (
	recordName  = "ROLLCALL_RECORD_NAME" // the file to write
	recordURL   = "ROLLCALL_RECORD_URL"  // the server, with the flag of the dialect
	recordToken = "ROLLCALL_RECORD_TOKEN"
)

const conversations = "testdata/conversations"

func TestConversations(t *testing.T) {
	t.Parallel()
	if name := os.Getenv(recordName); name != "" {
		recordConversation(t, name, os.Getenv(recordURL), os.Getenv(recordToken))
		return
	}
	files, err := filepath.Glob(filepath.Join(conversations, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			replayConversation(t, file)
		})
	}
}

// TestConversationsHaveEveryRequest looks for each row of Entra's request catalogue in the
// conversations, in both dialects.
func TestConversationsHaveEveryRequest(t *testing.T) {
	t.Parallel()
	both := map[string]string{
		"search for a random value":     "> GET /Users?FLAGfilter=userName+eq+%223e59e27b-",
		"match":                         "> GET /Users?FLAGfilter=userName+eq+%22grace%40",
		"second matching attribute":     "> GET /Users?FLAGfilter=externalId+eq+%22grace%22",
		"create":                        "> POST /Users",
		"read":                          "> GET /Users/",
		"update":                        "> PATCH /Users/",
		"delete":                        "> DELETE /Users/",
		"match of a group":              "> GET /Groups?FLAGexcludedAttributes=members&filter=displayName+eq+%22Team+Blue%22",
		"create of a group":             `> {"displayName":"Team Blue","externalId":"8aa1a0c0-0000-4bc0-b4a5-2ef676900159","meta":{"resourceType":"Group"},"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"`,
		"read of a group":               "excludedAttributes=members\n",
		"delete of a group":             "> DELETE /Groups/",
		"check of a member":             "> GET /Groups?FLAGfilter=id+eq+%22",
		"both schemas, even when empty": `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],"userName":"bo@example.com"`,
		"work e-mail is primary":        `"emails":[{"primary":true,"type":"work","value":"grace@example.com"}]`,
		"meta and roles":                `"meta":{"resourceType":"User"}`,
		"role in a create":              `"roles":[{"primary":true,"type":"WindowsAzureActiveDirectoryRole","value":"25"}]`,
	}
	dialects := map[string]map[string]string{
		"": {
			"disable":             `{"op":"Replace","path":"active","value":"False"}`,
			"enable":              `{"op":"Replace","path":"active","value":"True"}`,
			"new value":           `{"op":"Add","path":"phoneNumbers[type eq \"mobile\"].value","value":"+1 555 0100"}`,
			"other value":         `{"op":"Replace","path":"displayName","value":"Grace Hopper"}`,
			"extension":           `{"op":"Replace","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department","value":"Fleet"}`,
			"element of a list":   `{"op":"Replace","path":"addresses[type eq \"work\"].locality","value":"Washington"}`,
			"no value any more":   `{"op":"Remove","path":"title"}`,
			"manager":             `{"op":"Add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager","value":"`,
			"other manager":       `{"op":"Replace","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager","value":"`,
			"no manager":          `{"op":"Replace","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager","value":""}`,
			"new name of a group": `{"op":"Replace","path":"displayName","value":"Team Navy"}`,
			"members":             `{"op":"Add","path":"members","value":[{"$ref":null,"value":"`,
			"fewer members":       `{"op":"Remove","path":"members","value":[{"value":"`,
			"role of Microsoft's": `{"op":"Add","path":"roles","value":[{"value":"{\"id\":\"`,
			"all roles":           `{"op":"replace","path":"roles","value":[{"display":"Admin","primary":false,"type":"WindowsAzureActiveDirectoryRole","value":"26"`,
		},
		"aadOptscim062020": {
			"disable":             `{"op":"replace","path":"active","value":false}`,
			"enable":              `{"op":"replace","path":"active","value":true}`,
			"new value":           `{"op":"add","path":"phoneNumbers[type eq \"mobile\"].value","value":"+1 555 0100"}`,
			"other values":        `{"op":"replace","value":{"displayName":"Grace Hopper","name.familyName":"Hopper","name.formatted":"Grace Hopper","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department":"Fleet"}}`,
			"element of a list":   `{"op":"replace","path":"addresses[type eq \"work\"].locality","value":"Washington"}`,
			"no value any more":   `{"op":"remove","path":"title"}`,
			"manager":             `{"op":"add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager","value":"`,
			"no manager":          `{"op":"remove","path":"manager[value eq \"`,
			"new name of a group": `{"op":"replace","value":{"displayName":"Team Navy"}}`,
			"members":             `{"op":"add","path":"members","value":[{"value":"`,
			"fewer members":       `{"op":"remove","path":"members[value eq \"`,
			"role as an object":   `{"op":"add","path":"roles","value":[{"primary":true,"type":"WindowsAzureActiveDirectoryRole","value":"25"}]}`,
			"all roles":           `{"op":"replace","path":"roles","value":[{"display":"Admin","primary":false,"type":"WindowsAzureActiveDirectoryRole","value":"26"`,
		},
	}
	texts := map[string]string{}
	files, err := filepath.Glob(filepath.Join(conversations, "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		flag := ""
		if strings.HasSuffix(file, "-flag.txt") {
			flag = "aadOptscim062020"
		}
		texts[flag] += string(text)
	}
	for flag, rows := range dialects {
		find := func(what, part string) {
			if !strings.Contains(texts[flag], part) {
				t.Errorf("flag %q: no conversation has the row %q: %s", flag, what, part)
			}
		}
		for what, part := range rows {
			find(what, part)
		}
		for what, part := range both {
			if flag == "" {
				part = strings.ReplaceAll(part, "FLAG", "")
			}
			find(what, strings.ReplaceAll(part, "FLAG", flag+"&"))
		}
	}
}

// exchanged is a request, its answer, and the step of the story in which it was sent.
type exchanged struct {
	step    string
	request string // method, and path and query below the Tenant URL
	sent    string
	status  int
	kind    string // the Content-Type of the answer
	got     string
}

// write writes an exchange in the form of the files. It writes no headers, so a file holds no
// credentials.
func (x exchanged) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "> %s\n", x.request)
	if x.sent != "" {
		fmt.Fprintf(b, "> %s\n", x.sent)
	}
	fmt.Fprintf(b, "< %d %s\n", x.status, x.kind)
	for line := range strings.Lines(x.got) {
		fmt.Fprintf(b, "< %s\n", strings.TrimRight(line, "\r\n"))
	}
	b.WriteString("\n")
}

// readConversation reads the exchanges of a file.
func readConversation(t *testing.T, file string) (all []exchanged) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	step := ""
	for _, block := range strings.Split(string(text), "\n\n") {
		x := exchanged{}
		for line := range strings.Lines(block) {
			line = strings.TrimRight(line, "\n")
			rest := line[min(len(line), 2):]
			switch {
			case strings.HasPrefix(line, "# "):
				step = rest
			case strings.HasPrefix(line, "> ") && x.request == "":
				x.request = rest
			case strings.HasPrefix(line, "> "):
				x.sent = rest
			case strings.HasPrefix(line, "< ") && x.status == 0:
				if _, err := fmt.Sscanf(rest, "%d", &x.status); err != nil {
					t.Fatalf("%s: %q: %v", file, line, err)
				}
				_, x.kind, _ = strings.Cut(rest, " ")
			case strings.HasPrefix(line, "<"):
				x.got += rest + "\n"
			}
		}
		if x.request != "" {
			x.step = step
			all = append(all, x)
		}
	}
	return all
}

// replay answers requests as a file says. Within a step, requests may come in any order, because
// the engine works on groups and people at the same time.
type replay struct {
	t    *testing.T
	mu   sync.Mutex
	step string
	left []exchanged // recorded exchanges whose request has not come yet, of all steps
	seen []exchanged // exchanges of this step whose request has come
}

// begin ends the previous step and begins the next. All requests that were recorded for the
// previous step must have been sent.
func (p *replay) begin(step string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.left {
		again := slices.ContainsFunc(p.seen, func(o exchanged) bool { return o.request == x.request && o.sent == x.sent })
		if x.step == p.step && !x.isCheck() && !(x.mayRepeat() && (again || x.isProbe())) {
			p.t.Errorf("step %q: this was recorded and not sent: %s %s", p.step, x.request, x.sent)
		}
	}
	p.left = slices.DeleteFunc(p.left, func(x exchanged) bool { return x.step == p.step })
	p.step, p.seen = step, nil
}

// isProbe reports whether a request searches for the random value.
func (x exchanged) isProbe() bool { return strings.Contains(x.request, "3e59e27b-68ad-41f5") }

// isCheck reports whether a request asks whether a group has a member. The engine asks until an
// answer proves that the server carries out such changes. So the number of these requests depends
// on timing.
func (x exchanged) isCheck() bool {
	path, _, _ := strings.Cut(x.request, "?")
	return strings.Contains(x.request, "+and+members+eq+") || strings.HasPrefix(path, "GET /Groups/") && !strings.Contains(x.request, "excludedAttributes")
}

// mayRepeat reports whether the engine may send a request again in a step, because time passes. It
// may repeat the search for the random value, and requests that were refused.
func (x exchanged) mayRepeat() bool { return x.isProbe() || x.status >= http.StatusBadRequest }

// answer returns the recorded answer to a request of this step.
func (p *replay) answer(request, sent string) (exchanged, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := func(x exchanged) bool { return x.step == p.step && x.request == request && x.sent == sent }
	if i := slices.IndexFunc(p.left, asked); i >= 0 {
		x := p.left[i]
		p.left, p.seen = slices.Delete(p.left, i, i+1), append(p.seen, x)
		return x, true
	}
	if i := slices.IndexFunc(p.seen, asked); i >= 0 && p.seen[i].mayRepeat() {
		return p.seen[i], true
	}
	if (exchanged{request: request}).isCheck() { // a server that refuses the question is trusted without a check
		return exchanged{status: http.StatusBadRequest, kind: "application/scim+json", got: string(problem(http.StatusBadRequest, "invalidFilter", "Not now."))}, true
	}
	recorded := ""
	for _, x := range p.left {
		if x.step == p.step {
			recorded += "\n" + x.request + " " + x.sent
		}
	}
	p.t.Errorf("step %q: this was sent:\n%s %s\nand this is left of what was recorded:%s", p.step, request, sent, recorded)
	return exchanged{}, false
}

// replayConversation plays the story against the answers of a file.
func replayConversation(t *testing.T, file string) {
	said := readConversation(t, file)
	p := &replay{t: t, left: said, step: said[0].step}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if auth := r.Header.Get("Authorization"); auth != "Bearer secret" {
			t.Errorf("%s has Authorization %q", r.URL, auth)
		}
		x, known := p.answer(r.Method+" "+strings.TrimPrefix(r.URL.RequestURI(), "/scim"), string(sent))
		if !known {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		w.Header().Set("Content-Type", x.kind)
		w.WriteHeader(x.status)
		_, _ = io.WriteString(w, x.got)
	}))
	t.Cleanup(server.Close)
	flag := ""
	if strings.HasSuffix(file, "-flag.txt") {
		flag = "?aadOptscim062020"
	}
	playStory(t, filepath.Base(file), server.URL+"/scim"+flag, "secret", p.begin, nil)
	p.begin("the end")
	if len(p.left) > 0 {
		t.Errorf("%d requests of steps that did not come, such as %q", len(p.left), p.left[0].step)
	}
}

// recordConversation plays the story against a server and writes the file.
func recordConversation(t *testing.T, name, tenantURL, token string) {
	at, err := url.Parse(tenantURL)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	var mu sync.Mutex
	fmt.Fprintf(&b, "# %s\n\n", name)
	recorder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		sent, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		uri := r.URL.RequestURI()
		status, header, got := ask(t, r.Method, at.Scheme+"://"+at.Host+uri, token, sent)
		x := exchanged{request: r.Method + " " + strings.TrimPrefix(uri, at.Path), sent: string(sent), status: status, kind: header.Get("Content-Type"), got: got}
		x.write(&b)
		w.Header().Set("Content-Type", x.kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, got)
	}))
	t.Cleanup(recorder.Close)
	flag := ""
	if at.RawQuery != "" {
		flag = "?" + at.RawQuery
	}
	playStory(t, name, recorder.URL+at.Path+flag, token, func(step string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(&b, "# %s\n\n", step)
	}, func(path, body string) {
		if status, _, got := ask(t, http.MethodPost, at.Scheme+"://"+at.Host+at.Path+path, token, []byte(body)); status != http.StatusCreated {
			t.Errorf("made by hand: %d %s", status, got)
		}
	})
	text := strings.ReplaceAll(b.String(), at.Host, "127.0.0.1:1") // the port differs each time, so the file has a fixed port
	text = strings.ReplaceAll(text, strings.TrimPrefix(recorder.URL, "http://"), "127.0.0.1:1")
	if strings.Contains(text, token) {
		t.Fatal("the conversation has the token in it")
	}
	if err := os.MkdirAll(conversations, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(conversations, name+".txt"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// ask sends a request and returns the answer.
func ask(t *testing.T, method, to, token string, body []byte) (status int, header http.Header, got string) {
	r, err := http.NewRequestWithContext(t.Context(), method, to, bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return http.StatusBadGateway, nil, ""
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/scim+json")
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return http.StatusBadGateway, nil, ""
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Error(err)
	}
	return answer.StatusCode, answer.Header, string(text)
}

// story is a directory and its job. Their ids are the same in each run.
type story struct {
	*groupWorld
	begin  func(step string)
	byHand func(path, body string) // makes something at the application by hand; nil if a recording already contains the result

	member, admin directory.AppRole
}

// playStory plays the story with the server of this name. It calls begin with the name of each step
// before the step's requests.
func playStory(t *testing.T, name, tenantURL, token string, begin func(step string), byHand func(path, body string)) {
	t.Helper()
	g := newGroupWorld(t, func(s *provision.Settings, _ *provision.FlowTypes) { s.TenantURL, s.Secret = tenantURL, &token })
	g.engine.Workers = 1
	client := outbound.New(outbound.Options{AllowLoopback: true})
	g.engine.Targets = func(tenantURL, secret string) (provision.Target, error) {
		return scimclient.New(tenantURL, secret, scimclient.Options{
			HTTP: client, Now: g.clock.now, NewID: func() string { return "3e59e27b-68ad-41f5-bb0e-dadf130e2ac8" },
		})
	}
	g.jobs.Targets = g.engine.Targets
	s := &story{groupWorld: g, begin: begin, byHand: byHand}
	// Roles come first, because their ids come from a counter that cycles also increase.
	role := func(value, name string) directory.AppRole {
		made, _, err := s.handle.PutRole(t.Context(), s.key.App, directory.AppRole{Value: value, DisplayName: name, Enabled: true}, "cli")
		s.must(err)
		return made
	}
	s.member, s.admin = role("25", "Member"), role("26", "Admin")
	s.mappings("")
	s.people()
	s.managers()
	s.states()
	s.teams()
	s.restart()
	s.goodbyes()
	if playsRoles(name) {
		s.roles()
	}
}

// playsRoles reports whether the story with a server has steps about roles. SCIMMY refuses the type
// of role that Entra sends. scim2-server answers a PATCH with 204. If two people change together,
// the engine then reads back only the first of them.
func playsRoles(name string) bool { return !strings.HasPrefix(name, "scim") }

// mappings sets the mappings of a SCIM application and a second matching attribute. If roles has an
// expression, mappings also adds a row for roles.
func (s *story) mappings(target string, roles ...string) {
	s.t.Helper()
	text, err := templates.Get(templates.NonGallery)
	s.must(err)
	schema, err := provision.ParseSchema(text)
	s.must(err)
	m, err := schema.UserMapping()
	s.must(err)
	for i := range m.AttributeMappings {
		if row := &m.AttributeMappings[i]; row.TargetAttributeName == "externalId" {
			row.MatchingPriority = 2
		}
	}
	for _, expression := range roles {
		e, err := expr.Parse(expression)
		s.must(err)
		m.AttributeMappings = append(m.AttributeMappings, provision.AttributeMapping{TargetAttributeName: target, Source: e.Source(), FlowType: provision.FlowAlways})
		s.must(addTarget(schema, target))
	}
	_, err = s.jobs.SetSchema(s.t.Context(), s.key, schema, "cli")
	s.must(err)
}

// step runs a cycle under the name of a step.
func (s *story) step(name string) {
	s.t.Helper()
	s.clock.advance(time.Hour) // so that refused requests are tried again
	s.begin(name)
	_, _, err := s.tryCycle()
	s.must(err)
}

// employ puts a person with a fixed id into the directory, and assigns the person.
func (s *story) employ(id, name string, attributes map[string]any) string {
	s.t.Helper()
	a := map[string]any{"userPrincipalName": name + "@example.com", "displayName": strings.ToUpper(name[:1]) + name[1:], "mailNickname": name}
	for attribute, value := range attributes {
		a[attribute] = value
	}
	u, _, err := s.handle.PutUser(s.t.Context(), directory.User{ObjectID: id, AccountEnabled: true, Attributes: a}, "cli")
	s.must(err)
	s.assign(u.ObjectID, true)
	return u.ObjectID
}

// change sets attributes of a person. A nil value clears the attribute.
func (s *story) change(id string, attributes map[string]any) {
	s.t.Helper()
	u, err := s.handle.User(s.t.Context(), id)
	s.must(err)
	for attribute, value := range attributes {
		u.Attributes[attribute] = cmp.Or(value, any(""))
	}
	_, _, err = s.handle.PutUser(s.t.Context(), u, "cli")
	s.must(err)
}

const (
	graceID = "8aa1a0c0-0000-4bc0-b4a5-2ef676900101"
	adaID   = "8aa1a0c0-0000-4bc0-b4a5-2ef676900102"
	boID    = "8aa1a0c0-0000-4bc0-b4a5-2ef676900103"
	cyID    = "8aa1a0c0-0000-4bc0-b4a5-2ef676900104"
	deeID   = "8aa1a0c0-0000-4bc0-b4a5-2ef676900105"
	blueID  = "8aa1a0c0-0000-4bc0-b4a5-2ef676900159"
)

func (s *story) people() {
	s.begin("Test Connection")
	job := s.report().Job
	if _, err := s.jobs.TestConnection(s.t.Context(), s.key, job.TenantURL, nil); err != nil {
		s.t.Error(err)
	}
	s.employ(graceID, "grace", map[string]any{
		"displayName": "Grace Murray", "givenName": "Grace", "surname": "Murray", "mail": "grace@example.com", "jobTitle": "Rear Admiral", "preferredLanguage": "en-US",
		"city": "Arlington", "country": "US", "telephoneNumber": "+1 555 0101", "employeeId": "1906", "department": "Navy",
	})
	s.step("Grace is hired: no account is found by either matching attribute, so one is created")
	s.employ(boID, "bo", nil)
	s.step("Bo is hired, without an e-mail address and an enterprise attribute")
	if s.byHand != nil {
		s.byHand("/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada@example.com","externalId":"ada","active":true}`)
	}
	s.employ(adaID, "ada", map[string]any{"jobTitle": "Countess"})
	s.step("Ada, who has an account at the application, is hired: it is found and updated")
	s.change(graceID, map[string]any{
		"displayName": "Grace Hopper", "surname": "Hopper", "city": "Washington", "department": "Fleet", "mobile": "+1 555 0100",
	})
	s.step("Grace marries, moves and gets a mobile")
	s.change(graceID, map[string]any{"jobTitle": nil, "mobile": nil})
	s.step("Grace has no title and no mobile any more")
	s.step("nothing has changed")
}

func (s *story) managers() {
	s.change(graceID, map[string]any{"manager": adaID})
	s.step("Ada is Grace's manager")
	s.change(graceID, map[string]any{"manager": boID})
	s.step("Bo is Grace's manager")
	s.change(graceID, map[string]any{"manager": nil})
	s.step("Grace has no manager")
}

func (s *story) states() {
	_, err := s.handle.Disable(s.t.Context(), graceID, "cli")
	s.must(err)
	s.step("Grace is blocked from sign-in")
	_, err = s.handle.Enable(s.t.Context(), graceID, "cli")
	s.must(err)
	s.step("Grace may sign in again")
	s.assign(boID, false)
	s.step("Bo is unassigned")
	s.assign(boID, true)
	s.step("Bo is assigned again")
}

func (s *story) teams() {
	_, _, err := s.handle.PutGroup(s.t.Context(), directory.Group{ObjectID: blueID, Attributes: map[string]string{"displayName": "Team Blue"}}, "cli")
	s.must(err)
	s.assign(blueID, true)
	s.step("Team Blue is made, without members")
	s.join(blueID, graceID)
	s.step("Grace joins Team Blue")
	s.join(blueID, adaID, boID)
	s.step("Ada and Bo join Team Blue")
	s.leave(blueID, graceID)
	s.step("Grace leaves Team Blue")
	s.leave(blueID, adaID, boID)
	s.step("Ada and Bo leave Team Blue")
	s.join(blueID, graceID)
	s.step("Grace comes back to Team Blue")
	s.rename(blueID, "Team Navy")
	s.step("Team Blue is renamed")
}

func (s *story) restart() {
	_, err := s.jobs.Restart(s.t.Context(), s.key, "cli")
	s.must(err)
	s.step("the job is restarted: all accounts and groups are read")
}

func (s *story) goodbyes() {
	_, err := s.handle.SoftDeleteGroup(s.t.Context(), blueID, "cli")
	s.must(err)
	s.step("Team Navy is deleted")
	_, err = s.handle.SoftDelete(s.t.Context(), adaID, "cli")
	s.must(err)
	s.step("Ada is deleted softly")
	s.must(s.handle.Purge(s.t.Context(), adaID, "cli"))
	s.step("Ada is purged")
}

func (s *story) roles() {
	give := func(role directory.AppRole, id string) {
		s.t.Helper()
		_, err := s.handle.AssignRole(s.t.Context(), s.key.App, role.ID, []string{id}, "cli")
		s.must(err)
	}
	s.mappings(`roles[primary eq "True"].value`, "SingleAppRoleAssignment([appRoleAssignments])")
	s.step("the mapping sends the role of each person")
	s.employ(cyID, "cy", nil)
	give(s.member, cyID)
	s.step("Cy is hired with a role")
	s.employ(deeID, "dee", nil)
	s.step("Dee is hired without a role")
	give(s.member, deeID)
	s.step("Dee gets a role")
	s.mappings("roles", "AssertiveAppRoleAssignmentsComplex([appRoleAssignments])")
	s.step("the mapping sends all roles of each person")
	give(s.admin, boID)
	s.step("Bo gets a role")
}
