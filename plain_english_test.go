package rollcall

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// plainForms are the forms that CONTRIBUTING.md asks writers to avoid, each with what to write
// instead. form is a regular expression. A line is searched for it only if the line contains word,
// which is faster.
var plainForms = []struct{ word, form, instead string }{
	{"etter", `(?i)\bletter[- ]cases?\b`, "case"},
	{" text", `\b[Aa] text\b`, "a string, or what it is: a message, a line"},
	{"or ever", `(?i)\bfor ever\b`, "forever, permanently"},
	{"lank", `(?i)\bblanks\b|\ba blank\b`, "spaces"},
	{"hom", `(?i)\bwhom\b`, "the noun: the user, the account, the caller"},
	{" who ", `\b(for|to|of|by|from|with) who (is|are|was|were|has|have|had|does|did|can|may|must|will|writes|reads|asks|comes|makes|knows)\b`, `the noun: "for callers that …"`},
	{"no more", `\b(has|have|had|is|are|was|were|holds|knows|exists?) [a-z ]{0,20}\bno more([.,;:)]|$)`, "no longer"},
	{"else's", `(?i)\bnobody else's\b|\bsomebody else's\b`, "another person's"},
}

// unread lists the files and folders that may still contain avoided forms, because nobody has
// revised them yet. The test fails if an entry contains none any more.
var unread = []string{}

// TestPlainEnglish looks for the avoided forms in code, pages and documents.
func TestPlainEnglish(t *testing.T) {
	t.Parallel()
	type rule struct {
		word    string
		form    *regexp.Regexp
		instead string
	}
	var rules []rule
	for _, f := range plainForms {
		rules = append(rules, rule{f.word, regexp.MustCompile(f.form), f.instead})
	}
	found := map[string]int{} // how many avoided forms were found, by the entry of unread that covers the file
	// Released migrations are never edited, and other projects wrote much of testdata.
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != "." && (strings.HasPrefix(name, ".") || name == "bin" || name == "testdata" || name == "assets" || name == "migrations") {
				return filepath.SkipDir
			}
			return nil
		}
		switch filepath.Ext(path) {
		case ".go", ".md", ".html", ".sql":
		default:
			return nil
		}
		// Skip this list itself, and the page that explains it.
		if path == "plain_english_test.go" || path == "CONTRIBUTING.md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		covered := unreadPath(filepath.ToSlash(path))
		for number, line := range strings.Split(string(text), "\n") {
			for _, r := range rules {
				if !strings.Contains(line, r.word) {
					continue
				}
				if m := r.form.FindString(line); m != "" {
					if covered != "" {
						found[covered]++
						continue
					}
					t.Errorf("%s:%d says %q; write %s", path, number+1, m, r.instead)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range unread {
		if found[path] == 0 {
			t.Errorf("nothing in %s needs another form; take it from the list", path)
		}
	}
}

// unreadPath returns the entry of unread that covers a path, or "" if none does.
func unreadPath(path string) string {
	for _, entry := range unread {
		if path == entry || strings.HasPrefix(path, entry+"/") {
			return entry
		}
	}
	return ""
}
