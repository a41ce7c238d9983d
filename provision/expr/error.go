package expr

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// SyntaxError says why a string is not an expression, at which place, and what to write instead.
type SyntaxError struct {
	Offset       int    // bytes before the place
	Line, Column int    // the place, counted from 1; columns count characters
	Message      string // what is wrong with the expression
	Suggestion   string // what to write instead
}

func (e *SyntaxError) Error() string {
	return withPlace(e.Line, e.Column, e.Message, e.Suggestion)
}

// EvalError says why an expression has no value for one object.
type EvalError struct {
	Function     string // the function that failed; "" outside of functions
	Offset       int    // bytes before the place
	Line, Column int    // the place, counted from 1; columns count characters
	Message      string
	Err          error // the cause, if it lies outside the expression, such as a target that does not answer
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

// position turns a byte offset into a line and a column, both from 1.
func position(text string, offset int) (line, column int) {
	before := text[:min(offset, len(text))]
	line = strings.Count(before, "\n") + 1
	lineStart := strings.LastIndexByte(before, '\n') + 1
	return line, utf8.RuneCountInString(before[lineStart:]) + 1
}
