package directory

import (
	"iter"
	"strings"
)

// FileOptions say how to read a file whose first line does not say it all.
type FileOptions struct {
	Map           []ColumnMap
	Ignore        []string // columns to leave out
	IgnoreUnknown bool     // leave out every column whose name is not known
	Make          []Template
	Encoding      string // such as utf-8 or windows-1252; the reader finds it out if it is empty
	Separator     string // a character, or its name such as tab; the reader finds it out if it is empty
	// EnabledWords and DisabledWords are words of the file that mean true and false in
	// accountEnabled, besides the usual ones.
	EnabledWords, DisabledWords []string
}

// Template builds an attribute from columns, as in {First Name}.{Last Name}@example.com, where a
// row has no value for it.
type Template struct{ Attribute, Text string }

// ColumnMap gives a column of a file its attribute.
type ColumnMap struct{ Column, Attribute string }

// File is a file of users, read and not yet imported.
type File struct {
	Columns []FileColumn
	Notes   []string // sentences for people that say how the file was read
	Rows    iter.Seq2[Row, error]
	// Cut says why the file seems to have lost its end. It is a note as well.
	Cut string
	// Separator is the character between columns.
	Separator string
	// Template could build userPrincipalName if no column has it; "" if no template can.
	Template string
}

// FileColumn is a column of a file. Attributes are the attributes that it fills; none when the
// column is left out.
type FileColumn struct {
	Number     int
	Name       string
	Attributes []string
	Suggested  string   // the attribute that an unknown column probably holds, or ""
	AlsoMail   bool     // Suggested is userPrincipalName, and the column is the mail as well
	Unknown    bool     // whether the caller must say what to do with the column
	Examples   []string // its first values, shortened; none of a column that is never read, such as a password
}

// ColumnNames gives the column of each attribute whose column has another name.
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

// FileError says why a file cannot be read without more options. Flags are flags of rollcall
// directory import that help; Detail does not mention flags.
type FileError struct {
	Detail    string
	Flags     []string
	Columns   []FileColumn // the columns; empty if not even the first line could be read
	Encodings []Reading    // the encodings that the file may have
	Separator string
	Template  string // a template that could build userPrincipalName
	// EnabledWords and DisabledWords are the unknown words of a column of states that probably mean
	// true and false.
	EnabledWords, DisabledWords []string
}

// Reading is how an encoding reads a word of a file.
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
