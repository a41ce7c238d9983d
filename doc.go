// Package rollcall is the root of the module. It holds no code: the rooms are
// drawn in ARCHITECTURE.md, and arch_test.go beside this file holds the arrows
// between them as a table.
package rollcall
