package expr

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// SyntaxError is the error for a string that is not a valid expression. It says where and why, and
// what to write instead.
type SyntaxError struct {
	Offset       int    // position of the error in bytes from the start
	Line, Column int    // position of the error, counted from 1; columns count characters
	Message      string // what is wrong with the expression
	Suggestion   string // what to write instead
}

func (e *SyntaxError) Error() string {
	return withPlace(e.Line, e.Column, e.Message, e.Suggestion)
}

// EvalError is the error for an expression that has no value for an object. It says where and why.
type EvalError struct {
	Function     string // the function that failed; "" if the error is outside a function
	Offset       int    // position of the error in bytes from the start
	Line, Column int    // position of the error, counted from 1; columns count characters
	Message      string
	Err          error // the cause if it is outside the expression, such as a target that does not answer; otherwise nil
}

func (e *EvalError) Error() string {
	return withPlace(e.Line, e.Column, e.Message, "")
}

// Unwrap returns the cause outside the expression, or nil.
func (e *EvalError) Unwrap() error { return e.Err }

func withPlace(line, column int, message, suggestion string) string {
	text := fmt.Sprintf("line %d, column %d: %s", line, column, message)
	if suggestion == "" {
		return text
	}
	return text + "; " + suggestion
}

// position converts a byte offset to a line and a column, both counted from 1.
func position(text string, offset int) (line, column int) {
	before := text[:min(offset, len(text))]
	line = strings.Count(before, "\n") + 1
	lineStart := strings.LastIndexByte(before, '\n') + 1
	return line, utf8.RuneCountInString(before[lineStart:]) + 1
}
