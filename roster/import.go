package roster

import (
	"fmt"
)

// ImportRow is one person to bring in. Empty fields leave what is there.
type ImportRow struct {
	Row            int // where it stands in its file, for errors; 0: not from a file
	UserName       string
	DisplayName    string
	GivenName      string
	FamilyName     string
	Email          string
	UserIdentifier string // the NameID by which the person will sign in
	Role           Role   // checked by Import
}

// RowError says what is wrong with one row and what to do. The other rows are not affected.
type RowError struct {
	Row    int
	Column string // empty where it is not about one
	Text   string
}

func (e *RowError) Error() string {
	switch {
	case e.Row > 0 && e.Column != "":
		return fmt.Sprintf("row %d, column %s: %s", e.Row, e.Column, e.Text)
	case e.Row > 0:
		return fmt.Sprintf("row %d: %s", e.Row, e.Text)
	case e.Column != "":
		return e.Column + ": " + e.Text
	}
	return e.Text
}

// ImportReport counts what an import did.
type ImportReport struct {
	Created, Updated, Unchanged int
	Errors                      []*RowError
}
