// Package leader asks the leader of a stream, where a direct get may be answered by a replica that lags behind.
package leader

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Last is the last message of a subject, [jetstream.ErrMsgNotFound] when there is none.
func Last(ctx context.Context, nc *nats.Conn, js jetstream.JetStream, stream, subject string) (*jetstream.RawStreamMsg, error) {
	request, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		return nil, err
	}
	reply, err := nc.RequestWithContext(ctx, prefix(js.Options())+"STREAM.MSG.GET."+stream, request)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Sequence uint64 `json:"seq"`
			Header   []byte `json:"hdrs"`
			Data     []byte `json:"data"`
		} `json:"message"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return nil, fmt.Errorf("the last message of %s: %w", subject, err)
	}
	if answer.Error != nil {
		if answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound {
			return nil, jetstream.ErrMsgNotFound
		}
		return nil, answer.Error
	}
	if answer.Message.Sequence == 0 {
		return nil, fmt.Errorf("the last message of %s: %w", subject, jetstream.ErrInvalidJetStreamResponse)
	}
	msg := &jetstream.RawStreamMsg{Subject: subject, Sequence: answer.Message.Sequence, Data: answer.Message.Data}
	if len(answer.Message.Header) > 0 {
		msg.Header, err = nats.DecodeHeadersMsg(answer.Message.Header)
	}
	return msg, err
}

// prefix begins the subjects of JetStream's requests.
func prefix(o jetstream.JetStreamOptions) string {
	switch {
	case o.Domain != "":
		return "$JS." + o.Domain + ".API."
	case o.APIPrefix != "" && o.APIPrefix[len(o.APIPrefix)-1] != '.':
		return o.APIPrefix + "."
	case o.APIPrefix != "":
		return o.APIPrefix
	}
	return jetstream.DefaultAPIPrefix
}
