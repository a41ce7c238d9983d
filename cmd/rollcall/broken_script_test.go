package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rollcall-scim/rollcall/provision"
)

// rootOnlyInScript implements the command "rootonly" of scripts. It starts an application with one
// account, that of its owner. The application answers every search by an attribute other than
// userName with this account. Its ids are numbers. $BROKEN is its address; "GET $BROKEN/Users/1"
// shows the account.
func rootOnlyInScript(ts *testscript.TestScript, _ bool, _ []string) {
	var mu sync.Mutex
	users := []map[string]any{{"id": 1, "userName": "root", "active": true}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		for _, u := range users {
			if r.URL.Path == fmt.Sprintf("/Users/%d", u["id"]) {
				if r.Method == http.MethodPatch {
					body, _ := io.ReadAll(r.Body)
					if strings.Contains(string(body), "userName") {
						u["userName"] = "overwritten"
					}
					u["active"] = !strings.Contains(string(body), `"active","value":"False"`)
				}
				_ = json.NewEncoder(w).Encode(u)
				return
			}
		}
		if r.Method == http.MethodPost {
			body, _ := io.ReadAll(r.Body)
			u := map[string]any{}
			_ = json.Unmarshal(body, &u)
			u["id"] = len(users) + 1
			users = append(users, u)
			w.WriteHeader(http.StatusCreated)
			_ = json.NewEncoder(w).Encode(u)
			return
		}
		found := []any{}
		for i, u := range users {
			filter := r.URL.Query().Get("filter")
			if byName := strings.HasPrefix(filter, "userName "); byName && filter == fmt.Sprintf("userName eq %q", u["userName"]) || !byName && i == 0 {
				found = append(found, u)
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"totalResults": len(found), "Resources": found})
	}))
	ts.Defer(s.Close)
	ts.Setenv("BROKEN", s.URL)
}

// schemaInScript implements the command "schema FILE …" of scripts, which changes the user mapping
// in a schema document, or adds a member to the document. Its forms are "schema FILE matchby
// ATTRIBUTE", "schema FILE scope ATTRIBUTE OPERATOR", "schema FILE unknown MEMBER", "schema FILE
// text ATTRIBUTE EXPRESSION" and "schema FILE name ATTRIBUTE NAME".
func schemaInScript(ts *testscript.TestScript, _ bool, args []string) {
	schema, err := provision.ParseSchema([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	m, err := schema.UserMapping()
	ts.Check(err)
	switch args[1] {
	case "matchby":
		for i := range m.AttributeMappings {
			if m.AttributeMappings[i].TargetAttributeName == args[2] {
				m.AttributeMappings[i].MatchingPriority = 2
			}
		}
	case "scope":
		m.Scope = &provision.Filter{Groups: []provision.FilterGroup{{Name: "Staff", Clauses: []provision.FilterClause{{SourceOperandName: args[2], OperatorName: args[3]}}}}}
	case "unknown":
	case "text", "name": // change the source of a row
		for i := range m.AttributeMappings {
			if row := &m.AttributeMappings[i]; row.TargetAttributeName == args[2] && args[1] == "text" {
				row.Source.Expression = args[3]
			} else if row.TargetAttributeName == args[2] {
				row.Source.Name = args[3]
			}
		}
	default:
		ts.Fatalf("schema cannot %s", args[1])
	}
	document, err := schema.JSON()
	ts.Check(err)
	if args[1] == "unknown" {
		document = bytes.Replace(document, []byte("{"), []byte(`{"`+args[2]+`": 1,`), 1)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), document, 0o600))
}
