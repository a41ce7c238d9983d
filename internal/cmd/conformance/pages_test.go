package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPagesNameExchangesThatAreThere holds docs/clients.md and docs/divergences.md to the recorded exchanges that prove them.
func TestPagesNameExchangesThatAreThere(t *testing.T) {
	t.Parallel()
	exchange := regexp.MustCompile(`\[(\w+)\]\(\.\./scimserver/testdata/(\w+)\.txtar\)`)
	for page, least := range map[string]int{"clients.md": 40, "divergences.md": 30} {
		text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", page))
		if err != nil {
			t.Fatal(err)
		}
		found := exchange.FindAllStringSubmatch(string(text), -1)
		if len(found) < least {
			t.Errorf("%s names %d exchanges; has a link another shape?", page, len(found))
		}
		for _, m := range found {
			if m[1] != m[2] {
				t.Errorf("%s: the link %s leads to %s", page, m[1], m[2])
			}
			if _, err := os.Stat(filepath.Join("..", "..", "..", "scimserver", "testdata", m[2]+".txtar")); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}

// TestEveryClientsRowIsProved checks that no row of docs/clients.md claims something without an exchange.
func TestEveryClientsRowIsProved(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "clients.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	lines := slices.Collect(strings.Lines(string(text)))
	for i, line := range lines {
		heads := i+1 < len(lines) && strings.HasPrefix(lines[i+1], "| ---")
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| ---") || heads {
			continue
		}
		rows++
		if !strings.Contains(line, ".txtar)") {
			t.Errorf("no exchange proves: %s", line)
		}
	}
	if rows < 40 {
		t.Errorf("got %d rows; has the table another shape?", rows)
	}
}

// TestEveryDivergenceSaysWhy checks that each section of docs/divergences.md says in which modes it holds, what Rollcall does
// and why.
func TestEveryDivergenceSaysWhy(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "divergences.md"))
	if err != nil {
		t.Fatal(err)
	}
	shape := regexp.MustCompile(`(?s)^§\d+(\.\d+)*, [^\n]+\n\n\*(Both modes|Tolerant)\.\* .{20,}?\n\n\*\*Why:\*\* .{15,}\n$`)
	sections := strings.Split(string(text), "\n### ")[1:]
	if len(sections) < 100 {
		t.Errorf("got %d sections; has the page another shape?", len(sections))
	}
	for _, section := range sections {
		section, _, _ = strings.Cut(section, "\n## ")
		if !shape.MatchString(strings.TrimRight(section, "\n") + "\n") {
			t.Errorf("want a section number, the modes, what Rollcall does and why: %s", section)
		}
	}
}
