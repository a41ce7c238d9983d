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
	importLifetime          = 30 * time.Minute // how long a file is kept after its last preview
	maxImportMemory         = 256 << 20        // limit in bytes for all kept files together
	maxOperatorImportMemory = 128 << 20        // limit in bytes for the kept files of one operator
	maxImportDuration       = 50 * time.Second // how long a preview and an import may take together
)

// importForm holds the operator's choices in the form, without the file.
type importForm struct {
	SoftDeletesAbsent, IsForced       bool              // whether to soft-delete users that are not in the file, and whether to do so even if they are many
	Columns                           map[string]string // for each column, by its name, the attributes that the operator chose, separated by commas; "" means that the import ignores the column
	NameTemplate, Separator, Encoding string
	EnabledWords, DisabledWords       string // the words that mean an enabled or a disabled account, separated by commas
}

// The prefixes of input names. The input column.1 holds the name of a column, and the input
// becomes.1 holds the attributes that were chosen for it.
const columnPrefix, becomesPrefix = "column.", "becomes."

func readImportForm(form url.Values) importForm {
	f := importForm{
		SoftDeletesAbsent: form.Get("absent") == string(directory.AbsentSoftDelete), IsForced: form.Get("force") != "", Columns: map[string]string{},
		NameTemplate: strings.TrimSpace(form.Get("make")), Separator: form.Get("separator"), Encoding: form.Get("encoding"),
		EnabledWords: strings.TrimSpace(form.Get("enabled-words")), DisabledWords: strings.TrimSpace(form.Get("disabled-words")),
	}
	for field := range form {
		if n, ok := strings.CutPrefix(field, columnPrefix); ok && form.Has(becomesPrefix+n) {
			f.Columns[form.Get(field)] = form.Get(becomesPrefix + n)
		}
	}
	return f
}

// keptImport is a file that the server keeps between its preview and its import. Call lock before
// reading or changing it.
type keptImport struct {
	ID, Name  string
	busy      chan struct{} // has an element while the file is locked
	keptUntil time.Time

	data          []byte // the content of the file; nil after the import
	form          importForm
	foundColumns  []directory.FileColumn // the columns as the reader recognizes them, before the operator's choices
	fileError     *directory.FileError   // why the file cannot be read without further choices; nil if it can be
	parsed        directory.File
	previewDigest string // identifies what the preview showed; see the function previewDigest
	report        *importReport
	notice        *console.Notice // says why there is no preview, or why the import was not made; may be nil
}

// lock waits until no other request works with the file.
func (k *keptImport) lock(ctx context.Context) error {
	select {
	case k.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (k *keptImport) unlock() { <-k.busy }

// importKey returns the key under which the server keeps a file. The key contains the operator and
// the directory, so no other operator can open the file, and not in another directory.
func (v *directoryVisit) importKey(id string) string {
	return id + " " + v.Operator.ID + " " + string(v.Directory.ID)
}

// keepImport keeps an uploaded file in memory for a while.
func (p *Pages) keepImport(v *directoryVisit, k *keptImport) {
	now := p.Console.Options.Now()
	k.keptUntil = now.Add(importLifetime)
	p.imports.MaxBytes, p.imports.MaxOwnerBytes = maxImportMemory, maxOperatorImportMemory
	p.imports.PutSized(v.importKey(k.ID), console.Remembered{Value: k, ExpiresAt: k.keptUntil, Owner: v.Operator.ID, Size: len(k.data)}, now)
}

// findKeptImport returns the kept file with this id, or nil if it is no longer kept.
func (p *Pages) findKeptImport(v *directoryVisit, id string) *keptImport {
	k, _ := p.imports.Get(v.importKey(id), p.Console.Options.Now()).(*keptImport)
	return k
}

// formatOptions returns the operator's choices about the format of the file.
func (f importForm) formatOptions() directory.FileOptions {
	return directory.FileOptions{Encoding: f.Encoding, Separator: f.Separator, EnabledWords: strings.Split(f.EnabledWords, ","), DisabledWords: strings.Split(f.DisabledWords, ",")}
}

// fileOptions returns the operator's choices as options for the reader. A column needs no option if
// the operator chose the attributes that the reader recognizes anyway.
func (k *keptImport) fileOptions() directory.FileOptions {
	o := k.form.formatOptions()
	if k.form.NameTemplate != "" {
		o.Make = []directory.Template{{Attribute: "userPrincipalName", Text: k.form.NameTemplate}}
	}
	for i, c := range k.foundColumns {
		name := columnName(k.foundColumns, i)
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

// columnName returns the name of a column. If the name is empty or not unique, it returns the
// number of the column instead, such as "#3".
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

// parseKeptImport parses a kept file again, with the operator's choices. If the file cannot be
// parsed, it sets k.fileError and returns no error.
func (p *Pages) parseKeptImport(k *keptImport) error {
	k.fileError, k.parsed = nil, directory.File{}
	alone, err := p.ReadUsers(bytes.NewReader(k.data), k.form.formatOptions())
	k.foundColumns = alone.Columns
	if errors.As(err, &k.fileError) {
		k.foundColumns = k.fileError.Columns
	} else if err != nil {
		return err
	}
	o := k.fileOptions()
	if o.Map == nil && o.Ignore == nil && o.Make == nil {
		k.parsed = alone
		return nil
	}
	if k.fileError != nil && k.foundColumns == nil {
		return nil // without columns, the operator's choices about columns cannot help
	}
	first := k.fileError
	k.fileError = nil
	k.parsed, err = p.ReadUsers(bytes.NewReader(k.data), o)
	if errors.As(err, &k.fileError) {
		if k.fileError.Template == "" && first != nil {
			k.fileError.Template = first.Template
		}
		return nil
	}
	return err
}

func (k *keptImport) importOptions(v *directoryVisit, dryRun bool) directory.ImportOptions {
	o := directory.ImportOptions{DryRun: dryRun, Force: k.form.IsForced, Columns: k.parsed.ColumnNames(), CutReason: k.parsed.CutReason, Actor: v.actorLabel()}
	if k.form.SoftDeletesAbsent {
		o.Absent = directory.AbsentSoftDelete
	}
	return o
}

// preview parses the file and computes what importing it would do.
func (p *Pages) preview(ctx context.Context, v *directoryVisit, k *keptImport) error {
	k.report, k.previewDigest, k.notice = nil, "", nil
	if err := p.parseKeptImport(k); err != nil || k.fileError != nil {
		return err
	}
	o := k.importOptions(v, true)
	report, err := v.Import(ctx, k.parsed.Rows, o)
	if err != nil {
		return err
	}
	k.report, k.previewDigest = k.newImportReport(o, report), previewDigest(o, report)
	return nil
}

// previewDigest returns a hash of what a preview shows. Two previews have the same hash if
// importing them would do the same.
func previewDigest(o directory.ImportOptions, r directory.ImportReport) string {
	h := sha256.New()
	write := json.NewEncoder(h)
	if o.Absent == directory.AbsentKeep {
		r.Absent, r.Before = nil, 0 // users who are not in the file stay, so they make no difference
	}
	for _, part := range []any{r.Steps, r.Errors, r.Absent, r.SoftDeleted, r.Refused, o.Absent, o.Force} {
		_ = write.Encode(part) // writing to a hash never fails
	}
	return hex.EncodeToString(h.Sum(nil))
}

// columnChoice shows one column of the file in the form.
type columnChoice struct {
	Number           int
	Name             string // identifies the column: its name, or its number such as "#3"
	Label            string
	Examples         []string
	IsUnknown        bool
	Chosen           string
	CanBeNameAndMail bool // whether the column can be userPrincipalName and mail at once
}

// columnChoices lists the columns of the file. For each column it selects the attributes that the
// operator chose, or else those that the reader recognized, or else the reader's suggestion.
func (k *keptImport) columnChoices() []columnChoice {
	var list []columnChoice
	taken := map[string]bool{}
	for _, c := range k.foundColumns {
		for _, a := range c.Attributes {
			taken[a] = true
		}
	}
	for i, c := range k.foundColumns {
		one := columnChoice{Number: c.Number, Name: columnName(k.foundColumns, i), Label: c.Name, Examples: c.Examples, IsUnknown: c.Unknown, Chosen: strings.Join(c.Attributes, ",")}
		if c.Name == "" {
			if !c.Unknown {
				continue // an empty column
			}
			one.Label = "Column " + strconv.Itoa(c.Number)
		}
		if c.Unknown && c.Suggested != "" && !taken[c.Suggested] {
			taken[c.Suggested] = true
			one.Chosen = c.Suggested
			if c.AlsoMail && !taken["mail"] {
				one.Chosen += ",mail"
			}
		}
		if chosen, ok := k.form.Columns[one.Name]; ok {
			one.Chosen, one.IsUnknown = chosen, false
		}
		one.CanBeNameAndMail = c.AlsoMail || one.Chosen == "userPrincipalName,mail" || slices.ContainsFunc(c.Examples, func(v string) bool { return strings.Contains(v, "@") })
		list = append(list, one)
	}
	// Columns for which the operator must choose come first.
	slices.SortStableFunc(list, func(a, b columnChoice) int {
		switch {
		case a.IsUnknown && !b.IsUnknown:
			return -1
		case b.IsUnknown && !a.IsUnknown:
			return 1
		}
		return 0
	})
	return list
}
