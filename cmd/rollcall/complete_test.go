package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/rollcall-scim/rollcall/internal/session"
)

// shell runs commands, and asks for completions as a shell does.
type shell struct {
	t        *testing.T
	database string
}

func (s shell) run(args ...string) (code int, out string) {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	p := process{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, now: time.Now, getenv: func(name string) string {
		if name == "ROLLCALL_DATABASE" {
			return s.database
		}
		return ""
	}}
	if code = run(s.t.Context(), args, p); code != 0 {
		return code, stderr.String()
	}
	return code, stdout.String()
}

func (s shell) must(line string) {
	s.t.Helper()
	if code, out := s.run(strings.Fields(line)...); code != 0 {
		s.t.Fatalf("%s: %s", line, out)
	}
}

// operator makes a link for an operator and signs in with it, because an operator exists only after
// that.
func (s shell) operator(name string) {
	s.t.Helper()
	code, link := s.run("operator", "link", name)
	if code != 0 {
		s.t.Fatal(link)
	}
	c := &command{database: s.database, process: process{stderr: io.Discard, now: time.Now, getenv: func(string) string { return "" }}}
	all, err := c.openServices(s.t.Context(), wiring{})
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = all.operators.Redeem(s.t.Context(), strings.TrimSpace(link[strings.LastIndex(link, "/")+1:]), session.Browser{})
	if err := errors.Join(err, all.db.Close()); err != nil {
		s.t.Fatal(err)
	}
}

// complete returns the names that are offered for the last word, and the directive of cobra: ":4"
// means no file names, ":0" means file names.
func (s shell) complete(args ...string) (names []string, directive string) {
	s.t.Helper()
	code, out := s.run(append([]string{"__complete"}, args...)...)
	if code != 0 {
		s.t.Fatalf("%q: %s", args, out)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for _, l := range lines[:len(lines)-1] {
		name, _, _ := strings.Cut(l, "\t")
		names = append(names, name)
	}
	return names, lines[len(lines)-1]
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := shell{t, filepath.Join(dir, "rollcall.db")}
	people := filepath.Join(dir, "people.csv")
	if err := os.WriteFile(people, []byte("userName,displayName\nkim@acme.example,Kim\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"directory create contoso", "directory create fabrikam",
		"directory user add contoso ada@contoso.example displayName=Ada",
		"directory user add contoso grace@contoso.example displayName=Grace",
		"directory user add contoso gone@contoso.example displayName=Gone",
		"directory user delete contoso gone@contoso.example",
		"directory user disable contoso grace@contoso.example",
		"app create contoso Teams", "app create contoso Trello", "directory create third", "app create third Third --tenant-url http://127.0.0.1:9/scim",
		"app assign contoso Teams ada@contoso.example",
		"directory group create contoso Sales", "directory group create contoso Old", "directory group delete contoso Old", "app role create contoso Teams editor",
		"site create acme", "site create beta", "site import-people acme " + people,
		"site searchable add acme User title", "notification add contoso it@contoso.example", "webhook add contoso http://127.0.0.1:9/hook --description Hook",
	} {
		s.must(line)
	}
	s.operator("olga")
	for line, want := range map[string]string{
		"directory export |":                                               "contoso fabrikam third :4",
		"directory create |":                                               ":4",
		"directory user list fab|":                                         "fabrikam :4",
		"directory user show contoso |":                                    "ada@contoso.example grace@contoso.example :4",
		"directory user show contoso GR|":                                  "grace@contoso.example :4",
		"directory user enable contoso |":                                  "grace@contoso.example :4",
		"directory user restore contoso |":                                 "gone@contoso.example :4",
		"directory user set contoso ada@contoso.example dep|":              "department= :6",
		"directory import contoso |":                                       ":0",
		"directory import contoso x.csv --map Dept=dep|":                   "Dept=department :4",
		"directory import contoso x.csv --absent |":                        "keep soft-delete :36",
		"directory user list contoso --status |":                           "enabled disabled deleted :36",
		"directory export contoso --output |":                              ":0",
		"directory group show contoso |":                                   "Sales :4",
		"directory group restore contoso |":                                "Old :4",
		"directory group set contoso Sales desc|":                          "description= :6",
		"directory group member add contoso Sales |":                       "ada@contoso.example grace@contoso.example :4",
		"directory group member add contoso Sales --file |":                ":0",
		"app assign contoso Teams --group |":                               "Sales :4",
		"app assign contoso Teams --role |":                                "Default Access editor :4",
		"app role delete contoso Teams |":                                  "Default Access editor :4",
		"app show |":                                                       "contoso fabrikam third :4",
		"app show contoso |":                                               "Teams Trello :4",
		"app show nowhere |":                                               ":4",
		"app rename contoso Teams |":                                       ":4",
		"app create contoso |":                                             ":4",
		"app assign contoso Teams |":                                       "grace@contoso.example :4",
		"app assign contoso Trello ada@contoso.example |":                  "grace@contoso.example :4",
		"app unassign contoso Teams |":                                     "ada@contoso.example :4",
		"app import-schema contoso Teams |":                                ":0",
		"app mapping set third Third nick|":                                "nickName :4",
		"app attribute set third Third --side source extensionAttribute1|": "extensionAttribute1 extensionAttribute10 extensionAttribute11 extensionAttribute12 extensionAttribute13 extensionAttribute14 extensionAttribute15 :4",
		"app mapping show third Third --groups mem|":                       "members :4",
		"app mapping version restore third Third |":                        "1 :4",
		"app attribute list third Third --side |":                          "target source :36",
		"app set contoso Teams --scope |":                                  "assigned all :36",
		"app set contoso Teams --actions create,|":                         "create,update create,delete :38",
		"app set contoso Teams --secret-token-file |":                      ":0",
		"app set contoso Teams --tenant-url |":                             ":4",
		"provision log contoso Teams a|":                                   "ada@contoso.example :4",
		"provision log contoso Teams --status f|":                          "failure :36",
		"provision log contoso Teams --action |":                           "create update disable delete other :36",
		"site show |":                                                      "acme beta :4",
		"site create |":                                                    ":4",
		"site create new --profile |":                                      "documented full :36",
		"site set acme --create=|":                                         "refuse create :36",
		"site set acme --delete |":                                         "refuse deactivate delete :36",
		"site link acme k|":                                                "kim@acme.example :4",
		"site schema set acme |":                                           ":0",
		"site searchable add acme |":                                       "User Group :4",
		"site searchable remove acme User |":                               "title :4",
		"site searchable add acme User nick|":                              "nickName :4",
		"provision undo contoso Teams --user a|":                           "ada@contoso.example :4",
		"provision undo contoso Teams --cycle |":                           "last :36",
		"token create b|":                                                  "beta :4",
		"operator remove |":                                                "olga :4",
		"notification add contoso |":                                       ":4",
		"notification remove contoso |":                                    "it@contoso.example :4",
		"notification add contoso x --about held,|":                        "held,quarantine held,late held,credentials :38",
		"notification add contoso x --application Te|":                     "Teams :4",
		"webhook remove contoso |":                                         "Hook :4",
		"webhook set contoso Hook --about late,|":                          "late,quarantine late,held late,credentials :38",
		"key create |":                                                     ":0",
		"serve --log |":                                                    "text json :36",
		"serve --database |":                                               ":0",
		"expr Norm|":                                                       "NormalizeDiacritics( :6",
		"expr ToLower(Norm|":                                               "ToLower(NormalizeDiacritics( :6",
		"expr ToLower([givenN|":                                            "ToLower([givenName] :6",
		"expr x --directory contoso --user a|":                             "ada@contoso.example :4",
		"expr x --attribute sur|":                                          "surname= :6",
		"version |":                                                        ":4",
	} {
		args := strings.Split(strings.TrimSuffix(line, "|"), " ")
		names, directive := s.complete(args...)
		if got := strings.TrimSpace(strings.Join(names, " ") + " " + directive); got != want {
			t.Errorf("%s\n got %s\nwant %s", line, got, want)
		}
	}
}

func TestCompletionMakesNoDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := shell{t, filepath.Join(dir, "rollcall.db")}
	for _, line := range []string{"directory export |", "app show contoso |", "site link acme |", "directory user show contoso |"} {
		names, directive := s.complete(strings.Split(strings.TrimSuffix(line, "|"), " ")...)
		if len(names) > 0 || directive != ":4" {
			t.Errorf("%s: got %q %s", line, names, directive)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("completion made %v, %v", files, err)
	}
}

// TestEveryWordHasItsCompletion checks that every argument, and every flag with a value, has an
// entry in the table of completions. The entry says that names, file names or nothing are offered.
func TestEveryWordHasItsCompletion(t *testing.T) {
	t.Parallel()
	stored := []string{"--site", "--user", "--directory", "DIRECTORY", "APP", "CAUSE", "HASH", "--plan", "PERSON", "GROUP", "--group", "MEMBER", "ROLE", "--role", "SITE", "NAME", "USERNAME", "TYPE", "ATTRIBUTE", "VERSION", "--app", "--target", "LAST4|ID", "OBJECT", "ID", "ADDRESS", "WEBHOOK", "--application", "IDENTITY"}
	check := func(path, want string) {
		if _, known := fixedCompletion(path, "", want); !known && !slices.Contains(stored, want) {
			t.Errorf("%s: nothing says how %s is completed", path, want)
		}
	}
	for path, cmd := range leaves(t) {
		for n := range strings.Fields(cmd.Use) {
			check(path, placeholder(cmd, n))
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Value.Type() == "bool" {
				return
			}
			check(path, "--"+f.Name)
			if _, ok := cmd.GetFlagCompletionFunc(f.Name); !ok {
				t.Errorf("%s --%s has no completion", path, f.Name)
			}
		})
		if cmd.ValidArgsFunction == nil {
			t.Errorf("%s completes no arguments", path)
		}
	}
}
