// Package rollcall is the root of the module. It holds no code. ARCHITECTURE.md
// shows the packages, and arch_test.go says which of them may import which.
package rollcall
