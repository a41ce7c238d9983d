package console

import (
	"encoding/csv"
	"net/http"

	"github.com/rollcall-scim/rollcall/internal/inert"
)

// SendCSV responds with a CSV file. fill sends its lines, one per call of line. Read the first rows
// before you call SendCSV: once the file has begun, an error can no longer become a page.
func (c *Console) SendCSV(w http.ResponseWriter, r *http.Request, name string, header []string, fill func(line func(cells ...string) error) error) error {
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("Cache-Control", "no-store")
	out := csv.NewWriter(w)
	err := out.Write(header)
	if err == nil {
		err = fill(func(cells ...string) error {
			return out.Write(inert.Cells(cells))
		})
	}
	if out.Flush(); err == nil {
		err = out.Error()
	}
	if err != nil {
		c.Options.Log.Error("export cut off", "route", r.Pattern, "error", err)
		panic(http.ErrAbortHandler) // breaks the connection, so that the partial file does not look complete
	}
	return nil
}
