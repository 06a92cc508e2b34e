package page

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A storedMessage is the last message of a subject, as the leader of its stream has it.
type storedMessage struct {
	Sequence uint64 `json:"seq"`
	Headers  []byte `json:"hdrs"`
	Data     []byte `json:"data"`
}

// lastAtLeader asks the leader of a stream, where a direct get may be answered by a replica that lags behind. It is nil when there is
// no message of the subject.
func (p *Page) lastAtLeader(ctx context.Context, stream, subject string) (*storedMessage, error) {
	request, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		return nil, err
	}
	reply, err := p.nc.RequestWithContext(ctx, prefix(p.js.Options())+"STREAM.MSG.GET."+stream, request)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Message *storedMessage
		Error   *jetstream.APIError
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return nil, fmt.Errorf("the last message of %s: %w", subject, err)
	}
	switch {
	case answer.Message != nil:
		return answer.Message, nil
	case answer.Error == nil:
		return nil, fmt.Errorf("the last message of %s: %w", subject, jetstream.ErrInvalidJetStreamResponse)
	case answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return nil, nil
	}
	return nil, answer.Error
}

func (m *storedMessage) header() (nats.Header, error) {
	if len(m.Headers) == 0 {
		return nil, nil
	}
	return nats.DecodeHeadersMsg(m.Headers)
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
