// Package inert keeps text of others from being run as a formula where a file is opened in a spreadsheet.
package inert

import (
	"strings"
	"unicode/utf8"
)

// Cell puts an apostrophe before what a spreadsheet would run as a formula. Spreadsheets in East Asian languages also take the
// full-width signs.
func Cell(cell string) string {
	first, n := utf8.DecodeRuneInString(cell)
	switch first {
	case '=', '@', '\t', '\r', '\n', '＝', '＠':
		return "'" + cell
	case '+', '-', '＋', '－':
		if strings.Trim(cell[n:], "0123456789 ()./-") != "" {
			return "'" + cell
		}
	}
	return cell
}

// Cells makes each cell of a row inert, in place.
func Cells(cells []string) []string {
	for i, cell := range cells {
		cells[i] = Cell(cell)
	}
	return cells
}
