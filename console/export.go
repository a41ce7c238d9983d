package console

import (
	"encoding/csv"
	"net/http"

	"github.com/rollcall-scim/rollcall/internal/inert"
)

// SendCSV answers with a file of that name. fill writes its lines; whatever the file should say first has been read before, so
// that trouble can still be shown as a page.
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
		panic(http.ErrAbortHandler) // half a file must not look like a whole one
	}
	return nil
}
