package worker

import (
	"strings"
	"unicode/utf8"
)

// Texts of a result are cut to these many bytes.
const (
	mostOutput    = 16 << 10
	mostMessage   = 16 << 10
	mostTraceback = 64 << 10
)

// A tail keeps the last of what is written to it.
type tail struct {
	kept []byte
}

func (t *tail) Write(text []byte) (int, error) {
	written := len(text)
	if len(text) > mostOutput {
		text = text[len(text)-mostOutput:]
	}
	if t.kept = append(t.kept, text...); len(t.kept) > 2*mostOutput {
		t.kept = t.kept[:copy(t.kept, t.kept[len(t.kept)-mostOutput:])]
	}
	return written, nil
}

// String is the last of it, from the beginning of a character.
func (t *tail) String() string {
	return lastOf(string(t.kept), mostOutput)
}

func lastOf(text string, most int) string {
	if len(text) > most {
		text = text[len(text)-most:]
		for len(text) > 0 && !utf8.RuneStart(text[0]) {
			text = text[1:]
		}
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// firstOf is the beginning of a text.
func firstOf(text string, most int) string {
	if len(text) > most {
		for most > 0 && !utf8.RuneStart(text[most]) {
			most--
		}
		text = text[:most] + "..."
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// oneLine is a text for a header or an event.
func oneLine(text string) string {
	return firstOf(strings.Join(strings.Fields(text), " "), 500)
}

// middleOut keeps the beginning and the end of a text: those of a traceback.
func middleOut(text string, most int) string {
	if len(text) <= most {
		return strings.ToValidUTF8(text, "\uFFFD")
	}
	return firstOf(text, most/2) + "\n...\n" + lastOf(text, most/2)
}
