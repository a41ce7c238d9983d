package rollcall

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestCitedSectionsExist checks that every RFC section that a comment, a page or a document cites is a section of that RFC.
// testdata/rfc-sections.txt lists the sections.
func TestCitedSectionsExist(t *testing.T) {
	t.Parallel()
	sections := rfcSections(t)
	cited := 0
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); path != "." && (strings.HasPrefix(name, ".") || name == "bin" || name == "node_modules") {
				return filepath.SkipDir
			}
			return nil
		}
		switch filepath.Ext(path) {
		case ".go", ".md", ".html", ".txtar", ".sql":
		default:
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		heading := ""
		for number, line := range strings.Split(string(text), "\n") {
			if rfc := headingRFC.FindString(line); rfc != "" {
				heading = strings.TrimPrefix(rfc, "## ")
			}
			// Under a heading "RFC 7644", a heading "§3.5" cites that RFC.
			if strings.HasPrefix(line, "### §") && heading != "" {
				line = heading + " " + strings.TrimPrefix(line, "### ")
			}
			for _, citation := range citations(line) {
				cited++
				if !sections[citation] {
					t.Errorf("%s:%d cites RFC %s §%s, which testdata/rfc-sections.txt does not list", path, number+1, citation.rfc, citation.section)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if cited < 200 {
		t.Errorf("found %d citations; the test must see all of them, more than 200", cited)
	}
}

func TestCitations(t *testing.T) {
	t.Parallel()
	got := citations("RFC 7644 §3.5.2.2: see RFC 7643 §4.1, §8.7.2. RFC 9110 section 15.5.16, and §2 of another text")
	want := []citation{{"7644", "3.5.2.2"}, {"7643", "4.1"}, {"7643", "8.7.2"}, {"9110", "15.5.16"}}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %v, want %v", got[i], want[i])
		}
	}
}

// A citation is one section of one RFC.
type citation struct{ rfc, section string }

var (
	headingRFC   = regexp.MustCompile(`^## RFC \d{4}`)
	citedRFC     = regexp.MustCompile(`RFC (\d{4})((?:(?:,| and)? ?(?:§§?|[Ss]ection )\d+(?:\.\d+)*)+)`)
	citedSection = regexp.MustCompile(`\d+(?:\.\d+)*`)
)

// citations returns the sections that line cites as "RFC 7644 §3.5.2" or "RFC 7644 section 3.5.2". More sections of the
// same RFC may follow after a comma or "and".
func citations(line string) []citation {
	var found []citation
	for _, m := range citedRFC.FindAllStringSubmatch(line, -1) {
		for _, section := range citedSection.FindAllString(m[2], -1) {
			found = append(found, citation{m[1], section})
		}
	}
	return found
}

// rfcSections returns the sections that testdata/rfc-sections.txt lists.
func rfcSections(t *testing.T) map[citation]bool {
	t.Helper()
	text, err := os.ReadFile("testdata/rfc-sections.txt")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[citation]bool{}
	for _, line := range strings.Split(string(text), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		words := strings.SplitN(line, " ", 3)
		if len(words) != 3 {
			t.Fatalf("testdata/rfc-sections.txt: %q is not number, section and title", line)
		}
		sections[citation{words[0], words[1]}] = true
	}
	return sections
}
