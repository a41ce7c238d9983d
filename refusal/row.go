package refusal

import (
	"fmt"
	"strings"
)

// Row is a refusal of one row of a file. Why.Field is the name of the column.
type Row struct {
	Line int    // the line number in the file; 0 if the row does not come from a file
	Why  *Error // the refusal itself
}

// Error returns the text of the refusal, after the line and the column if they are known.
func (r *Row) Error() string {
	var where []string
	if r.Line > 0 {
		where = append(where, fmt.Sprintf("line %d", r.Line))
	}
	if r.Why.Field != "" {
		where = append(where, "column "+r.Why.Field)
	}
	if len(where) == 0 {
		return r.Why.Error()
	}
	return strings.Join(where, ", ") + ": " + r.Why.Error()
}

func (r *Row) Unwrap() error { return r.Why }
