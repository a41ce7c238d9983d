package rollcall

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocsLeadSomewhere checks that every file and picture that README, ARCHITECTURE and docs name is there.
func TestDocsLeadSomewhere(t *testing.T) {
	t.Parallel()
	pages := []string{"README.md", "ARCHITECTURE.md", "CHANGELOG.md"}
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

// TestTheGuideAndItsTestHaveTheSameSteps holds docs/guide.md to the browser test that follows it.
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
