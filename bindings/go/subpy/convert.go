package subpy

import (
	"fmt"
	"strconv"
	"strings"
)

// ConversionError says which part of an argument has no counterpart in Python, or which part of a result does not go
// into the Go type that was asked for. The former is an [ErrInvalidArgument] as well, and nothing ran.
type ConversionError struct {
	Path    string // to the part, such as "args[0]['x'][1]" or "result[2]"
	Problem string

	steps    []string // the path without its root, the innermost first
	argument bool
}

func (e *ConversionError) Error() string {
	return "subpy: " + e.Path + ": " + e.Problem
}

// Unwrap returns ErrInvalidArgument for an argument, nil for a result.
func (e *ConversionError) Unwrap() error {
	if e.argument {
		return ErrInvalidArgument
	}
	return nil
}

func conversionError(format string, a ...any) *ConversionError {
	return &ConversionError{Problem: fmt.Sprintf(format, a...)}
}

func errTooDeep() *ConversionError {
	return conversionError("nested more than %d levels deep, or contains itself", maxDepth)
}

func errTooLarge() *ConversionError {
	return conversionError("more than memory can hold")
}

func errKwargs() *ConversionError {
	return conversionError("Kwargs must be the last argument")
}

// at, atKey and inKey put a step in front of the path, on the way from the part to its root.

func (e *ConversionError) at(index int) *ConversionError {
	e.steps = append(e.steps, "["+strconv.Itoa(index)+"]")
	return e
}

func (e *ConversionError) atKey(key *value) *ConversionError {
	any, err := decodeAny(&reading{ordered: true}, key)
	text := fmt.Sprint(any)
	if err != nil {
		text = err.Problem
	}
	if key.kind == kindStr {
		quoted := strconv.Quote(text)
		text = "'" + quoted[1:len(quoted)-1] + "'"
	}
	e.steps = append(e.steps, "["+shorten(text, 60)+"]")
	return e
}

func (e *ConversionError) inKey() *ConversionError {
	e.steps = append(e.steps, " (a key)")
	return e
}

func shorten(text string, length int) string {
	if len(text) > length {
		return strings.ToValidUTF8(text[:length], "") + "..."
	}
	return text
}

// of finishes the path with what it begins with.
func (e *ConversionError) of(root string, argument bool) *ConversionError {
	const most = 20 // a deep path is all alike in the middle
	var path strings.Builder
	path.WriteString(root)
	for i := len(e.steps) - 1; i >= 0; i-- {
		if left := i + 1; len(e.steps) > most && left == len(e.steps)-most/2 {
			path.WriteString("...")
			i = most/2 - 1
		}
		path.WriteString(e.steps[i])
	}
	e.Path, e.argument, e.steps = path.String(), argument, nil
	return e
}
