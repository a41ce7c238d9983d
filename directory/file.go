package directory

import (
	"iter"
	"strings"
)

// FileOptions say how to read a file of users if its header does not say everything.
type FileOptions struct {
	Map           []ColumnMap // columns and the attributes that they hold
	Ignore        []string    // columns to leave out
	IgnoreUnknown bool        // whether to leave out all columns whose names are unknown
	Make          []Template  // templates that build the values of attributes that no column holds
	Encoding      string      // the encoding, such as utf-8 or windows-1252; if "", the reader detects it
	Separator     string      // the separator: a character, or a name such as tab; if "", the reader detects it
	// EnabledWords and DisabledWords are additional words that mean true and false for
	// accountEnabled in this file.
	EnabledWords, DisabledWords []string
}

// Template builds the value of an attribute from columns. It is used in rows that have no value for
// the attribute. An example of Text is {First Name}.{Last Name}@example.com.
type Template struct{ Attribute, Text string }

// ColumnMap says which attribute a column of a file holds.
type ColumnMap struct{ Column, Attribute string }

// File is a file of users that has been read but not imported.
type File struct {
	Columns []FileColumn
	Notes   []string // sentences for the user about how the file was read
	Rows    iter.Seq2[Row, error]
	// CutReason says why the end of the file seems to be missing; Notes contains this sentence too.
	// It is "" if the file seems complete.
	CutReason string
	// Separator is the character between columns.
	Separator string
	// Template is a suggested template for userPrincipalName if no column holds it. It is "" if
	// there is no suggestion.
	Template string
}

// FileColumn is a column of a file.
type FileColumn struct {
	Number     int // the position in the file; the first column is 1
	Name       string
	Attributes []string // the attributes that the column fills; empty if the column is left out
	Suggested  string   // the attribute that an unknown column probably holds, or ""
	AlsoMail   bool     // whether Suggested is userPrincipalName and the column holds the mail address as well
	Unknown    bool     // whether the caller must still say what the column means or that it is left out
	Examples   []string // the column's first values, shortened; empty for a column that is never read, such as a password
}

// ColumnNames maps attributes to the names of their columns. Attributes whose column has the same
// name are left out.
func (f File) ColumnNames() map[string]string {
	names := map[string]string{}
	for _, c := range f.Columns {
		for _, a := range c.Attributes {
			if a != c.Name {
				names[a] = c.Name
			}
		}
	}
	return names
}

// FileError says why a file cannot be read without more options. Detail explains the error. Flags
// are the flags of rollcall directory import that solve the problem.
type FileError struct {
	Detail    string
	Flags     []string
	Columns   []FileColumn // the columns; empty if the header could not be read
	Encodings []Reading    // the encodings that the file may have, each with an example
	Separator string       // the character between columns; "" if it is not known
	Template  string       // a suggested template for userPrincipalName, or ""
	// EnabledWords and DisabledWords are unknown words in a column about enabled accounts. They
	// probably mean true and false.
	EnabledWords, DisabledWords []string
}

// Reading is an encoding that the file may have. Word is a word of the file, decoded with this
// encoding, as an example.
type Reading struct{ Encoding, Word string }

func (e *FileError) Error() string {
	if len(e.Flags) == 0 {
		return e.Detail
	}
	return e.Detail + ". Add: " + strings.Join(e.Flags, " ")
}

// IsBoolean reports whether a string can be the value of accountEnabled.
func IsBoolean(text string) bool {
	_, err := parseBoolean(strings.TrimSpace(text))
	return err == nil
}

// IsObjectID reports whether a string can be an objectId.
func IsObjectID(text string) bool { return isGUID(strings.ToLower(strings.TrimSpace(text))) }
