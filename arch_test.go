package rollcall

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/rollcall-scim/rollcall"

// arrows lists for each package of ours which other packages of ours it may import, as
// ARCHITECTURE.md draws it. Packages are also called rooms. The test fails for a package that is
// not in the list, so a new package is added here and to ARCHITECTURE.md first.
var arrows = map[string][]string{
	// Languages: import nothing of ours.
	"scim":           {},
	"refusal":        {},
	"saml":           {},
	"oidc":           {},
	"provision/expr": {},

	// Domains: languages, and each other along the arrows.
	"event":        {"refusal", "internal/phrase"},
	"site":         {"scim", "refusal", "event", "internal/phrase", "internal/secret"},
	"requestlog":   {"scim", "refusal", "site", "internal/phrase", "internal/redact"},
	"roster":       {"scim", "refusal", "event", "site", "requestlog", "internal/lookalike", "internal/pace", "internal/phrase", "internal/secret", "internal/session", "internal/visible"},
	"signin":       {"scim", "saml", "oidc", "refusal", "event", "site", "roster", "internal/codeflow", "internal/onetime", "internal/secret", "internal/session"},
	"operator":     {"oidc", "refusal", "event", "internal/codeflow", "internal/onetime", "internal/secret", "internal/session"},
	"retention":    {"refusal", "event"},
	"notification": {"refusal", "event"},
	"erasure":      {"scim", "refusal", "event", "site", "roster", "directory"},
	"directory":    {"scim", "refusal", "event", "internal/lookalike", "internal/near", "internal/pace", "internal/phrase", "internal/visible"},
	"provision":    {"scim", "refusal", "provision/expr", "event", "internal/redact"},

	// Data and helpers without rules.
	"provision/templates": {"provision", "provision/expr"},
	"internal/web":        {},
	"internal/outbound":   {},
	"internal/seal":       {},
	"internal/redact":     {},
	"internal/fair":       {},
	"internal/near":       {},
	"internal/inert":      {},
	"internal/metrics":    {},
	"internal/live":       {},
	"internal/pace":       {},
	"internal/phrase":     {},
	"internal/session":    {},
	"internal/secret":     {},
	"internal/codeflow":   {"oidc"},
	"internal/onetime":    {"refusal", "internal/secret"},
	"internal/visible":    {},
	"internal/lookalike":  {"internal/visible"},

	// Edges: domains and languages, never another edge.
	"store":            {"store/sqldb", "scim", "saml", "refusal", "event", "site", "requestlog", "roster", "signin", "operator", "directory", "provision", "retention", "erasure", "notification", "internal/codeflow", "internal/redact", "internal/fair", "internal/onetime", "internal/secret", "internal/session"},
	"store/sqldb":      {"internal/fair", "internal/pace"}, // knows no domain
	"directory/csv":    {"directory", "internal/phrase"},
	"directory/source": {"directory", "provision", "event"},
	"scimserver":       {"scim", "refusal", "event", "site", "requestlog", "roster", "internal/web", "internal/fair", "internal/phrase"},
	"ssoserver":        {"saml", "oidc", "refusal", "event", "site", "signin", "internal/codeflow", "internal/web", "internal/secret", "internal/session"},
	"graphapi":         {"refusal", "event", "notification", "operator", "directory", "provision", "provision/expr", "provision/templates", "internal/web"},
	"oidcclient":       {"oidc", "internal/outbound"},
	"scimclient":       {"scim", "provision", "internal/outbound", "internal/redact"},
	"runner":           {"event"},
	"outbox":           {"notification", "internal/outbound"},

	// The frame of all pages, and the two sets of pages. Both sets import the frame. Neither set
	// imports the other, and the frame imports neither.
	"console":                {"scim", "refusal", "event", "signin", "operator", "retention", "internal/web", "internal/onetime", "internal/secret", "internal/session", "internal/visible", "internal/inert"},
	"console/sitepages":      {"console", "scim", "saml", "oidc", "refusal", "event", "site", "requestlog", "roster", "signin", "retention", "erasure", "internal/onetime"},
	"console/directorypages": {"console", "oidc", "refusal", "event", "site", "roster", "signin", "operator", "directory", "provision", "provision/expr", "retention", "erasure", "notification", "internal/codeflow", "internal/demosignin", "internal/live", "internal/onetime", "internal/phrase", "internal/web"},

	// Entry: imports everything, and no package imports it.
	"cmd/rollcall": {"*"},

	// Test and measuring equipment.
	"internal/demoidp":         {},
	"internal/openidtest":      {},
	"internal/demosignin":      {"refusal", "directory", "internal/demoidp"},
	"internal/pgserver":        {},
	"internal/pgtest":          {"internal/pgserver"},
	"internal/mailbox":         {},
	"internal/storetest":       {"store", "store/sqldb", "internal/pgtest"},
	"internal/apptest":         {"*"},
	"internal/binary":          {"internal/pgserver"},
	"internal/cmd/bench":       {"*"},
	"internal/cmd/neighbours":  {"internal/binary"},
	"internal/cmd/kills":       {"internal/binary"},
	"internal/cmd/growth":      {"internal/binary"},
	"internal/cmd/draw":        {},
	"internal/foreign":         {},
	"internal/cmd/conformance": {"internal/binary", "internal/foreign"},
	"internal/cmd/interop":     {"internal/binary", "internal/foreign", "provision/templates"},
}

// forbidden lists for each package the packages of others that it must not import. Languages and
// domains must not use the network, SQL, pages or the environment.
var forbidden = map[string][]string{
	"scim":           {"net", "net/http", "database/sql", "os", "log", "log/slog", "time/tzdata", "math/rand", "crypto/rand", "context", "html/template", "reflect"},
	"refusal":        {"net", "net/http", "database/sql", "os", "log", "log/slog", "math/rand", "context", "html/template", "reflect"},
	"saml":           {"net", "net/http", "database/sql", "os", "log", "log/slog", "math/rand", "context", "html/template", "reflect"},
	"oidc":           {"net", "net/http", "database/sql", "os", "log", "log/slog", "math/rand", "crypto/rand", "html/template", "reflect"}, // go-oidc needs a context, which nothing can end
	"provision/expr": {"net", "net/http", "database/sql", "os", "log", "log/slog", "math/rand", "context", "html/template", "reflect"},
	"event":          {"net/http", "database/sql", "os", "log/slog", "html/template"},
	"site":           {"net/http", "database/sql", "os", "html/template"},
	"requestlog":     {"net/http", "database/sql", "os", "html/template"},
	"roster":         {"net/http", "database/sql", "os", "html/template"},
	"signin":         {"net/http", "database/sql", "os", "html/template"},
	"operator":       {"net/http", "database/sql", "os", "html/template"},
	"erasure":        {"net/http", "database/sql", "os", "html/template"},
	"retention":      {"net/http", "database/sql", "os", "html/template"},
	"directory":      {"net/http", "database/sql", "os", "html/template"},
	"provision":      {"net/http", "database/sql", "os", "html/template"},
	"console":        {"database/sql"},

	"console/sitepages":      {"database/sql"},
	"console/directorypages": {"database/sql"},

	"scimserver": {"database/sql"},
	"ssoserver":  {"database/sql"},
	"oidcclient": {"database/sql"},
	"graphapi":   {"database/sql", "html/template"},
	"scimclient": {"database/sql"},
	"outbox":     {"database/sql", "html/template"},
}

func TestImportsFollowTheArrows(t *testing.T) {
	t.Parallel()
	for file, imports := range goFiles(t) {
		from := filepath.ToSlash(filepath.Dir(file))
		if from == "." {
			continue
		}
		allowed, drawn := arrows[from]
		if !drawn {
			t.Errorf("%s: room %q is not drawn in arch_test.go and ARCHITECTURE.md; draw it before building it", file, from)
			continue
		}
		for _, path := range imports {
			if to, ours := strings.CutPrefix(path, module+"/"); ours && !permits(allowed, to) {
				t.Errorf("%s: %q must not import %q; the arrows allow %v", file, from, to, allowed)
			}
			for _, bad := range forbidden[from] {
				if path == bad {
					t.Errorf("%s: %q must not import %q; that belongs to an edge", file, from, path)
				}
			}
		}
	}
}

func TestOnlyTheRunnerAndTheStoreImportTheirEngines(t *testing.T) {
	t.Parallel()
	owner := map[string][]string{
		"github.com/riverqueue/river": {"runner"},
		"github.com/jackc/pgx":        {"store/sqldb", "runner", "internal/pgtest", "internal/pgserver", "internal/binary"},
		"modernc.org/sqlite":          {"store/sqldb", "internal/binary"},
		"github.com/tink-crypto":      {"internal/seal"},
		"github.com/pressly/goose":    {"store/sqldb"},
		"github.com/spf13/cobra":      {"cmd/rollcall"},
		"github.com/prometheus":       {"internal/metrics"},

		"github.com/russellhaering/gosaml2":   {"saml"},
		"github.com/russellhaering/goxmldsig": {"saml", "internal/demoidp"},
		"github.com/beevik/etree":             {"saml", "internal/demoidp"},

		"github.com/zitadel/oidc":    {"internal/openidtest"},
		"github.com/coreos/go-oidc":  {"oidc"},
		"github.com/go-jose/go-jose": {"oidc"},
		"golang.org/x/oauth2":        {"oidc", "oidcclient"},
	}
	for file, imports := range goFiles(t) {
		from := filepath.ToSlash(filepath.Dir(file))
		for _, path := range imports {
			for prefix, rooms := range owner {
				if strings.HasPrefix(path, prefix) && !permits(rooms, from) && !permits(arrows[from], "*") {
					t.Errorf("%s: only %v may import %q", file, rooms, path)
				}
			}
		}
	}
}

func permits(allowed []string, to string) bool {
	for _, a := range allowed {
		if a == "*" || a == to {
			return true
		}
	}
	return false
}

// goFiles returns the imports of every Go file of the module, without test files.
func goFiles(t *testing.T) map[string][]string {
	t.Helper()
	files := map[string][]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "testdata" || d.Name() == "tools" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if d.IsDir() && path != "." {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
				return filepath.SkipDir // a module of its own
			}
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		files[path] = []string{}
		for _, imp := range f.Imports {
			p, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				return err
			}
			files[path] = append(files[path], p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("found no Go files: is the test running at the module's root?")
	}
	return files
}
