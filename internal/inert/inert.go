// Package inert protects cells of a CSV file. It keeps a spreadsheet from running text as a formula
// when the file is opened.
package inert

import (
	"strings"
	"unicode/utf8"
)

// Cell returns the cell with an apostrophe in front if a spreadsheet would run it as a formula.
// Cell also checks full-width signs, because spreadsheets in East Asian languages accept them in
// formulas.
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

// Cells changes every cell of a row as Cell does. It changes the slice itself.
func Cells(cells []string) []string {
	for i, cell := range cells {
		cells[i] = Cell(cell)
	}
	return cells
}
