package rollcall

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/scimserver"
	"github.com/rollcall-scim/rollcall/site"
)

// TestDocsLeadSomewhere checks that every file and picture to which README, ARCHITECTURE and docs
// link exists.
func TestDocsLeadSomewhere(t *testing.T) {
	t.Parallel()
	pages := []string{"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"}
	for _, pattern := range []string{"docs/*.md", "docs/decisions/*.md"} {
		more, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, more...)
	}
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s leads to %s, which is not there", page, m[1])
			}
		}
	}
}

// TestEveryExchangeIsInTheDocs checks that docs/clients.md or docs/divergences.md names every
// recorded exchange with a client.
func TestEveryExchangeIsInTheDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	others, err := os.ReadFile("docs/divergences.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("scimserver/testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no exchanges: %v", err)
	}
	for _, file := range files {
		link := []byte("(../" + filepath.ToSlash(file) + ")")
		if !bytes.Contains(text, link) && !bytes.Contains(others, link) {
			t.Errorf("neither docs/clients.md nor docs/divergences.md names %s", file)
		}
	}
}

// TestSecurityNamesTestsThatExist checks that every test that docs/security.md names exists, and
// that docs/security.md names every fuzz test.
func TestSecurityNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := testFiles(t)
	named := map[string]bool{}
	for _, m := range regexp.MustCompile("`([a-z/]+)\\.((?:Test|Fuzz)\\w+)(?:/(\\w+))?`").FindAllStringSubmatch(string(text), -1) {
		folder, function, part := m[1], m[2], m[3]
		named[folder+"."+function] = true
		// saml.TestVerifyRefuses puts "a response" before the names of its cases.
		of, _ := strings.CutPrefix(part, "a_response_")
		if of = strings.ReplaceAll(of, "_", " "); of == part {
			of = ""
		}
		found := false
		for _, source := range tests[folder] {
			found = found || strings.Contains(source, "\nfunc "+function+"(") && (part == "" || strings.Contains(source, `"`+part+`"`) || of != "" && strings.Contains(source, `"`+of))
		}
		if !found {
			t.Errorf("docs/security.md names %s, which is not there", m[0])
		}
	}
	if len(named) < 50 {
		t.Fatalf("found %d tests; are they named in another form?", len(named))
	}
	for folder, sources := range tests {
		for _, source := range sources {
			for _, m := range regexp.MustCompile(`\nfunc (Fuzz\w+)\(`).FindAllStringSubmatch(source, -1) {
				if !named[folder+"."+m[1]] {
					t.Errorf("docs/security.md does not name %s.%s", folder, m[1])
				}
			}
		}
	}
}

// testFiles returns the contents of all test files, by their folder.
func testFiles(t *testing.T) map[string][]string {
	t.Helper()
	tests := map[string][]string{}
	err := filepath.WalkDir(".", func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		folder := filepath.ToSlash(filepath.Dir(path))
		tests[folder] = append(tests[folder], string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

// TestSecurityNamesTheLimits checks that the table of limits in docs/security.md has the limits of
// the code.
func TestSecurityNamesTheLimits(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "## Limits")
	table, _, _ = strings.Cut(table, "\n## ")
	number := func(n int) string {
		digits := strconv.Itoa(n)
		for i := len(digits) - 3; i > 0; i -= 3 {
			digits = digits[:i] + "," + digits[i:]
		}
		return digits
	}
	for _, limit := range []string{
		fmt.Sprintf("| body | %d MiB; `/Bulk` %d MiB; POST and PUT of a group %d MiB", scimserver.MaxBody>>20, scimserver.MaxBulkBytes>>20, scimserver.MaxGroupBody>>20),
		fmt.Sprintf("| JSON | %d deep", scim.MaxJSONDepth),
		fmt.Sprintf("| filter | %d brackets deep, %s bytes, %d terms", scim.MaxFilterDepth, number(scim.MaxFilterBytes), scim.MaxFilterTerms),
		fmt.Sprintf("| PATCH | %s operations, %s changes, %s values in one operation", number(scim.MaxPatchOperations), number(scim.MaxPatchChanges), number(scim.MaxPatchValues)),
		fmt.Sprintf("| bulk | %s operations", number(scimserver.MaxBulkOperations)),
		fmt.Sprintf("no index answers it | %s |", number(roster.DefaultScanLimit)),
		fmt.Sprintf("| page | %d resources", roster.MaxCount),
		fmt.Sprintf("| URL and headers together | %d KiB", web.MaxHeaderBytes>>10),
		fmt.Sprintf("| requests of a site | none; if set, %d a second or more", site.MinRateLimit),
	} {
		if !strings.Contains(table, limit) {
			t.Errorf("docs/security.md does not say %q", limit)
		}
	}
}

// TestTheGuideAndItsTestHaveTheSameSteps checks that docs/guide.md has every step of the browser
// test that follows the guide.
func TestTheGuideAndItsTestHaveTheSameSteps(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("docs/guide.md")
	if err != nil {
		t.Fatal(err)
	}
	test, err := os.ReadFile("internal/apptest/guide_test.go")
	if err != nil {
		t.Fatal(err)
	}
	steps := regexp.MustCompile(`\{"([^"]+)", \(\*guide\)`).FindAllStringSubmatch(string(test), -1)
	if len(steps) < 15 {
		t.Fatalf("found %d steps in the test; has its table another shape?", len(steps))
	}
	for _, step := range steps[1:] {
		name, _, _ := strings.Cut(step[1], ": who is")
		if !strings.Contains(string(guide), name) {
			t.Errorf("docs/guide.md does not name the step %q", step[1])
		}
	}
}
