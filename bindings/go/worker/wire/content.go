package wire

import (
	"fmt"
	"mime"
)

// Content is the form of a body, as the header Content-Type has it.
type Content string

const (
	JSON        Content = "application/json"
	MessagePack Content = "application/msgpack"
)

// ContentOf is what a header Content-Type stands for. An empty one is JSON.
func ContentOf(header string) (Content, error) {
	if header == "" || header == string(JSON) {
		return JSON, nil
	}
	kind, _, err := mime.ParseMediaType(header)
	if err == nil {
		switch Content(kind) {
		case JSON:
			return JSON, nil
		case MessagePack, "application/x-msgpack", "application/vnd.msgpack":
			return MessagePack, nil
		}
	}
	return JSON, fmt.Errorf("Content-Type: %.100q is neither %s nor %s", header, JSON, MessagePack)
}
