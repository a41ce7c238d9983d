package csv_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/csv"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/store"
)

// TestSamplesImport imports files in the form of public ones, with invented people, and compares
// everybody and every attribute with a list. A sample goes in at once, or with the flags that the
// message names: the sample lists those that map and build columns, and the message may name
// columns to leave out besides. Importing it again changes nothing.
func TestSamplesImport(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/samples/*.txtar")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	directories := &directory.Directories{Store: store.Directories{DB: storetest.New(t)}, Now: time.Now, NewID: uuid.NewString}
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".txtar")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			sample := map[string]string{}
			heads := regexp.MustCompile(`(?m)^-- (.*) --\n`).FindAllStringSubmatchIndex(string(text), -1)
			for i, head := range heads {
				end := len(text)
				if i+1 < len(heads) {
					end = heads[i+1][0]
				}
				sample[string(text[head[2]:head[3]])] = string(text[head[1]:end])
			}
			d, err := directories.Create(t.Context(), name, "cli")
			if err != nil {
				t.Fatal(err)
			}
			h := directories.Open(d)
			importSample(t, h, sample["users.csv"], sample["flags"])
			if diff := cmp.Diff(sample["want"], listed(t, h, strings.Contains(sample["want"], "objectId"))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func importSample(t *testing.T, h *directory.Handle, text, flags string) {
	t.Helper()
	var o directory.FileOptions
	_, err := csv.Open(strings.NewReader(text), o)
	var asks *directory.FileError
	if errors.As(err, &asks) {
		t.Log(asks)
		named := ""
		for _, flag := range asks.Flags {
			if !strings.HasPrefix(flag, "--ignore-columns") {
				named += flag + "\n"
			}
		}
		if diff := cmp.Diff(flags, named); diff != "" {
			t.Errorf("flags (-want +got):\n%s", diff)
		}
		o = options(t, asks.Flags)
	} else if flags != "" {
		t.Errorf("the file went in without the flags: %v", err)
	}
	for _, again := range []bool{false, true} {
		file, err := csv.Open(strings.NewReader(text), o)
		if err != nil {
			t.Fatal(err)
		}
		report, err := h.Import(t.Context(), file.Rows, directory.ImportOptions{Columns: file.ColumnNames(), Actor: "cli"})
		if err != nil || len(report.Errors) > 0 {
			t.Fatal(report.Errors, err)
		}
		if again && report.Created+report.Updated > 0 {
			t.Errorf("importing it again created %d and updated %d: %v", report.Created, report.Updated, report.Steps)
		}
	}
}

// listed is everybody in a directory with all attributes. Object ids that the file did not give are
// left out.
func listed(t *testing.T, h *directory.Handle, ids bool) string {
	t.Helper()
	var people []string
	err := h.Export(t.Context(), func(u directory.User, manager string) error {
		text := u.UPN() + "\n"
		for _, a := range directory.Attributes() {
			value := u.Text(a.Name)
			switch {
			case a.Name == "userPrincipalName" || a.Name == "objectId" && !ids:
				continue
			case a.Name == "manager":
				value = manager
			}
			if value != "" {
				text += "  " + a.Name + ": " + strings.ReplaceAll(value, "\n", "\\n") + "\n"
			}
		}
		people = append(people, text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(people)
	return strings.Join(people, "")
}

// options are flags as the command reads them.
func options(t *testing.T, flags []string) (o directory.FileOptions) {
	t.Helper()
	form := regexp.MustCompile(`^--(map|make|ignore-columns|encoding|enabled-words|disabled-words) "?([^"]*)"?$`)
	for _, flag := range flags {
		m := form.FindStringSubmatch(flag)
		switch {
		case m == nil:
			t.Fatalf("the message names %s, which is no flag", flag)
		case m[1] == "map":
			at := strings.LastIndex(m[2], "=")
			o.Map = append(o.Map, directory.ColumnMap{Column: m[2][:at], Attribute: m[2][at+1:]})
		case m[1] == "make":
			attribute, text, _ := strings.Cut(m[2], "=")
			o.Make = append(o.Make, directory.Template{Attribute: attribute, Text: text})
		case m[1] == "enabled-words":
			o.EnabledWords = strings.Split(m[2], ",")
		case m[1] == "disabled-words":
			o.DisabledWords = strings.Split(m[2], ",")
		case m[1] == "encoding":
			o.Encoding = m[2]
		default:
			o.Ignore = append(o.Ignore, m[2])
		}
	}
	return o
}
