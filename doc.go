// Package rollcall is the root of the module. It has only tests, which check the whole module.
// ARCHITECTURE.md shows the packages, and arch_test.go says which of them may import which.
package rollcall
