// Package csv reads and writes a directory's users as comma-separated files.
//
// The first line names the columns: Entra's attributes, or names from HR systems that can mean only
// one attribute. The reader ignores case, spaces and underscores in these names. The caller says
// what other columns mean, or leaves them out. An error about columns is a *directory.FileError,
// which names the flags that help. Several values of one attribute are separated by semicolons.
// Commas, semicolons, tabs and pipes separate columns. Files are UTF-8, UTF-16 or, when that is
// certain, Windows-1252, with any line ends. Open returns the rows for directory.Handle.Import, and
// an error with line and column for each row that cannot be read.
//
// A spreadsheet runs a cell that begins with = + - or @ as a formula. The writer puts an apostrophe
// before such a value (but not before a plain number or telephone number), and the reader removes
// the apostrophe. So an export can be opened safely and imported without loss.
//
// Package directory does the matching and holds every rule about users.
package csv
