// Package csv reads and writes a directory's users as comma-separated files.
//
// The first line names the columns: Entra's attributes, or names from HR systems that can mean only
// one attribute. The reader ignores case, spaces and underscores in these names. For every other
// column, the caller must say what it means or that it is left out. An error about columns is a
// *directory.FileError, which names the command-line flags that solve the problem. Commas,
// semicolons, tabs or pipes separate the columns. Inside a cell, semicolons separate several values
// of one attribute. Files are UTF-8, UTF-16 or, when the reader can be certain, Windows-1252. Lines
// may end with LF, CRLF or CR. Open returns the rows for directory.Handle.Import, and an error with
// line and column for each row that cannot be read.
//
// A spreadsheet runs a cell that begins with = + - or @ as a formula. The writer puts an apostrophe
// before such a value (but not before a plain number or telephone number), and the reader removes
// the apostrophe. So an export can be opened safely and imported without loss.
//
// Package directory matches rows to users and holds every rule about users.
package csv
