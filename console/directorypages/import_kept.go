package directorypages

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
)

const (
	importKept          = 30 * time.Minute
	importBytes         = 256 << 20 // the limit for all kept files together
	importBytesOperator = 128 << 20 // the limit for the kept files of one operator
	importPatience      = 50 * time.Second
)

// importForm holds the operator's choices in the form; the file is kept elsewhere.
type importForm struct {
	SoftDelete, Force         bool
	Columns                   map[string]string // the attributes that the operator chose for each column, by the column's name; "" leaves the column out
	Make, Separator, Encoding string
	Enabled, Disabled         string // words, separated by commas
}

// Prefixes of input names. The inputs column.1 and becomes.1 belong together.
const columnField, becomesField = "column.", "becomes."

func readImportForm(form url.Values) importForm {
	f := importForm{
		SoftDelete: form.Get("absent") == string(directory.AbsentSoftDelete), Force: form.Get("force") != "", Columns: map[string]string{},
		Make: strings.TrimSpace(form.Get("make")), Separator: form.Get("separator"), Encoding: form.Get("encoding"),
		Enabled: strings.TrimSpace(form.Get("enabled-words")), Disabled: strings.TrimSpace(form.Get("disabled-words")),
	}
	for field := range form {
		if n, ok := strings.CutPrefix(field, columnField); ok && form.Has(becomesField+n) {
			f.Columns[form.Get(field)] = form.Get(becomesField + n)
		}
	}
	return f
}

// keptImport is a file between its preview and its import. Lock busy to read or change it.
type keptImport struct {
	ID, Name string
	busy     chan struct{}
	until    time.Time

	data    []byte // the content of the file; nil after the import
	form    importForm
	found   []directory.FileColumn // the columns as the reader recognizes them, before the operator's choices
	refused *directory.FileError   // why the file cannot be read without further choices
	read    directory.File
	seen    string // digest of what the preview showed
	report  *importReport
	notice  *console.Notice // why the preview differs from the one that the operator asked for
}

func (k *keptImport) lock(ctx context.Context) error {
	select {
	case k.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (k *keptImport) unlock() { <-k.busy }

// importKey returns the key under which a file is kept. Only the same operator can open it, in the
// same directory.
func (v *directoryVisit) importKey(id string) string {
	return id + " " + v.Operator.ID + " " + string(v.Directory.ID)
}

func (p *Pages) keepImport(v *directoryVisit, k *keptImport) {
	now := p.Console.Options.Now()
	k.until = now.Add(importKept)
	p.imports.MaxBytes, p.imports.MaxOwnerBytes = importBytes, importBytesOperator
	p.imports.PutSized(v.importKey(k.ID), console.Remembered{Value: k, Until: k.until, Owner: v.Operator.ID, Size: len(k.data)}, now)
}

func (p *Pages) keptImport(v *directoryVisit, id string) *keptImport {
	k, _ := p.imports.Get(v.importKey(id), p.Console.Options.Now()).(*keptImport)
	return k
}

// formatOptions returns the operator's choices about the format of the file.
func (f importForm) formatOptions() directory.FileOptions {
	return directory.FileOptions{Encoding: f.Encoding, Separator: f.Separator, EnabledWords: strings.Split(f.Enabled, ","), DisabledWords: strings.Split(f.Disabled, ",")}
}

// fileOptions returns the operator's choices as options of the reader. It leaves out a column if
// the operator kept the attributes that the reader recognized.
func (k *keptImport) fileOptions() directory.FileOptions {
	o := k.form.formatOptions()
	if k.form.Make != "" {
		o.Make = []directory.Template{{Attribute: "userPrincipalName", Text: k.form.Make}}
	}
	for i, c := range k.found {
		name := columnName(k.found, i)
		chosen, ok := k.form.Columns[name]
		switch {
		case !ok || !c.Unknown && chosen == strings.Join(c.Attributes, ","):
		case chosen == "":
			o.Ignore = append(o.Ignore, name)
		default:
			for a := range strings.SplitSeq(chosen, ",") {
				o.Map = append(o.Map, directory.ColumnMap{Column: name, Attribute: a})
			}
		}
	}
	return o
}

// columnName returns a column's name, or its number, such as #3, if the name is empty or not
// unique.
func columnName(columns []directory.FileColumn, i int) string {
	same := 0
	for _, c := range columns {
		if strings.EqualFold(c.Name, columns[i].Name) {
			same++
		}
	}
	if columns[i].Name == "" || same > 1 {
		return "#" + strconv.Itoa(columns[i].Number)
	}
	return columns[i].Name
}

// readKept reads a kept file again, with the operator's choices. If the file cannot be read, it
// sets k.refused and returns no error.
func (p *Pages) readKept(k *keptImport) error {
	k.refused, k.read = nil, directory.File{}
	alone, err := p.ReadUsers(bytes.NewReader(k.data), k.form.formatOptions())
	k.found = alone.Columns
	if errors.As(err, &k.refused) {
		k.found = k.refused.Columns
	} else if err != nil {
		return err
	}
	o := k.fileOptions()
	if o.Map == nil && o.Ignore == nil && o.Make == nil {
		k.read = alone
		return nil
	}
	if k.refused != nil && k.found == nil {
		return nil // the operator's choices about columns do not help here
	}
	first := k.refused
	k.refused = nil
	k.read, err = p.ReadUsers(bytes.NewReader(k.data), o)
	if errors.As(err, &k.refused) {
		if k.refused.Template == "" && first != nil {
			k.refused.Template = first.Template
		}
		return nil
	}
	return err
}

func (k *keptImport) options(v *directoryVisit, dryRun bool) directory.ImportOptions {
	o := directory.ImportOptions{DryRun: dryRun, Force: k.form.Force, Columns: k.read.ColumnNames(), CutReason: k.read.CutReason, Actor: v.actor()}
	if k.form.SoftDelete {
		o.Absent = directory.AbsentSoftDelete
	}
	return o
}

// preview reads the file and computes what an import of it would do.
func (p *Pages) preview(ctx context.Context, v *directoryVisit, k *keptImport) error {
	k.report, k.seen, k.notice = nil, "", nil
	if err := p.readKept(k); err != nil || k.refused != nil {
		return err
	}
	o := k.options(v, true)
	report, err := v.Import(ctx, k.read.Rows, o)
	if err != nil {
		return err
	}
	k.report, k.seen = k.reportOf(o, report), previewDigest(o, report)
	return nil
}

// previewDigest returns a digest of a preview. Two previews that would do the same have the same
// digest.
func previewDigest(o directory.ImportOptions, r directory.ImportReport) string {
	h := sha256.New()
	write := json.NewEncoder(h)
	if o.Absent == directory.AbsentKeep {
		r.Absent, r.Before = nil, 0 // absent users stay in the directory, so they make no difference
	}
	for _, part := range []any{r.Steps, r.Errors, r.Absent, r.SoftDeleted, r.Refused, o.Absent, o.Force} {
		_ = write.Encode(part) // writing to a hash never fails
	}
	return hex.EncodeToString(h.Sum(nil))
}

// columnChoice is a column in the form.
type columnChoice struct {
	Number   int
	Name     string // the value of the input for this column
	Shown    string
	Examples []string
	Unknown  bool
	Chosen   string
	Both     bool // whether the column can be userPrincipalName and mail at once
}

// columnChoices lists the columns with their attributes. The operator's choice comes first, then
// the reader's, then the suggestion for an unknown column.
func (k *keptImport) columnChoices() []columnChoice {
	var list []columnChoice
	taken := map[string]bool{}
	for _, c := range k.found {
		for _, a := range c.Attributes {
			taken[a] = true
		}
	}
	for i, c := range k.found {
		one := columnChoice{Number: c.Number, Name: columnName(k.found, i), Shown: c.Name, Examples: c.Examples, Unknown: c.Unknown, Chosen: strings.Join(c.Attributes, ",")}
		if c.Name == "" {
			if !c.Unknown {
				continue // an empty column
			}
			one.Shown = "Column " + strconv.Itoa(c.Number)
		}
		if c.Unknown && c.Suggested != "" && !taken[c.Suggested] {
			taken[c.Suggested] = true
			one.Chosen = c.Suggested
			if c.AlsoMail && !taken["mail"] {
				one.Chosen += ",mail"
			}
		}
		if chosen, ok := k.form.Columns[one.Name]; ok {
			one.Chosen, one.Unknown = chosen, false
		}
		one.Both = c.AlsoMail || one.Chosen == "userPrincipalName,mail" || slices.ContainsFunc(c.Examples, func(v string) bool { return strings.Contains(v, "@") })
		list = append(list, one)
	}
	// Columns that need an answer come first.
	slices.SortStableFunc(list, func(a, b columnChoice) int {
		switch {
		case a.Unknown && !b.Unknown:
			return -1
		case b.Unknown && !a.Unknown:
			return 1
		}
		return 0
	})
	return list
}
