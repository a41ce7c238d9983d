// Package csv reads and writes a directory's users as comma-separated files.
//
// The first line names the columns, in Entra's spelling but without regard to letter case; unknown columns are refused by name. Several values of
// one attribute are separated by semicolons, and manager is a userPrincipalName. Files are UTF-8, with or without a byte order mark, with any line
// ends. NewReader yields what directory.Handle.Import takes: rows, and an error with line and column for each row that cannot be read.
//
// A spreadsheet runs a cell that begins with = + - or @ as a formula. The writer puts an apostrophe before such a value (but not before a plain
// number or telephone number), and the reader takes it away again, so that an export can be opened safely and imported without loss.
//
// It leaves matching and every rule about users to directory.
package csv
