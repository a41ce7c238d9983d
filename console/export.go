package console

import (
	"encoding/csv"
	"net/http"
	"strings"
	"unicode/utf8"
)

// sendCSV answers with a file of that name. fill writes its lines; whatever the file should say first has been read before, so
// that trouble can still be shown as a page.
func (c *Console) sendCSV(w http.ResponseWriter, r *http.Request, name string, header []string, fill func(line func(cells ...string) error) error) error {
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("Cache-Control", "no-store")
	out := csv.NewWriter(w)
	err := out.Write(header)
	if err == nil {
		err = fill(func(cells ...string) error {
			for i, cell := range cells {
				cells[i] = inert(cell)
			}
			return out.Write(cells)
		})
	}
	if out.Flush(); err == nil {
		err = out.Error()
	}
	if err != nil {
		c.options.Log.Error("export cut off", "route", r.Pattern, "error", err)
		panic(http.ErrAbortHandler) // half a file must not look like a whole one
	}
	return nil
}

// inert puts an apostrophe before what a spreadsheet would run as a formula. Spreadsheets in East Asian languages also take
// the full-width signs.
func inert(cell string) string {
	first, n := utf8.DecodeRuneInString(cell)
	switch first {
	case '=', '@', '\t', '\r', '\n', '＝', '＠':
		return "'" + cell
	case '+', '-', '＋', '－':
		if strings.Trim(cell[n:], "0123456789 ()./-") != "" {
			return "'" + cell
		}
	}
	return cell
}
