package directory

import (
	"iter"
	"strings"
)

// FileOptions say how to read a file of users when its first line is not enough.
type FileOptions struct {
	Map           []ColumnMap // columns and the attributes that they hold
	Ignore        []string    // columns to leave out
	IgnoreUnknown bool        // whether to leave out every column whose name is not known
	Make          []Template  // templates for attributes that no column holds
	Encoding      string      // such as utf-8 or windows-1252; if empty, the reader finds out the encoding
	Separator     string      // a character, or its name such as tab; if empty, the reader finds out the separator
	// EnabledWords and DisabledWords are words of the file that mean true and false in
	// accountEnabled, besides the usual ones.
	EnabledWords, DisabledWords []string
}

// Template builds the value of an attribute from columns, in rows that have no value for it. An
// example of Text is {First Name}.{Last Name}@example.com.
type Template struct{ Attribute, Text string }

// ColumnMap says which attribute a column of a file holds.
type ColumnMap struct{ Column, Attribute string }

// File is a file of users, read and not yet imported.
type File struct {
	Columns []FileColumn
	Notes   []string // sentences for people about how the file was read
	Rows    iter.Seq2[Row, error]
	// CutReason says why the end of the file seems to be missing. Notes contains it too. CutReason
	// is empty if the file seems complete.
	CutReason string
	// Separator is the character between columns.
	Separator string
	// Template is a template that could build userPrincipalName, if no column has it. It is "" if
	// there is none.
	Template string
}

// FileColumn is a column of a file. Attributes are the attributes that the column fills; the list
// is empty if the column is left out.
type FileColumn struct {
	Number     int
	Name       string
	Attributes []string
	Suggested  string   // the attribute that an unknown column probably holds, or ""
	AlsoMail   bool     // whether Suggested is userPrincipalName and the column holds the mail address as well
	Unknown    bool     // whether the caller must map the column to an attribute or ignore it
	Examples   []string // the column's first values, shortened; none for a column that is never read, such as a password
}

// ColumnNames returns the name of the column by attribute, for attributes whose column has a
// different name.
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

// FileError says why a file cannot be read without more options. Flags are the flags of rollcall
// directory import that help. Detail explains the error without naming flags.
type FileError struct {
	Detail    string
	Flags     []string
	Columns   []FileColumn // the columns; empty if not even the first line could be read
	Encodings []Reading    // the encodings that the file may have, with an example of each
	Separator string
	Template  string // a template that could build userPrincipalName
	// EnabledWords and DisabledWords are unknown words in a column of account states. They probably
	// mean true and false.
	EnabledWords, DisabledWords []string
}

// Reading is an encoding, and how one word of the file reads in that encoding.
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
