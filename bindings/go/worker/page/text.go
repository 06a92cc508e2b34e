package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

const longestShown = 128 << 10 // bytes of a value or a request as text

// textOf is a value as a text that is indented where it is large, and whether it is only the beginning.
func textOf(value any) (string, bool) {
	raw, ok := value.(json.RawMessage)
	if !ok {
		var err error
		if raw, err = json.Marshal(value); err != nil { // of MessagePack, with what JSON does not have
			return shorten(fmt.Sprint(value))
		}
	}
	return shorten(indent(raw))
}

func indent(raw []byte) string {
	if len(raw) <= 72 || len(raw) > longestShown {
		return string(raw)
	}
	var to bytes.Buffer
	if json.Indent(&to, raw, "", "  ") != nil {
		return string(raw)
	}
	return to.String()
}

func shorten(text string) (string, bool) {
	if len(text) <= longestShown {
		return strings.ToValidUTF8(text, "\ufffd"), false
	}
	return cut(text, longestShown), true
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
