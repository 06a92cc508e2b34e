package page

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"time"
)

const (
	longestBody = 8 << 20          // bytes of a request with a job
	shortBody   = 4 << 10          // bytes of any other
	longest     = 10 * time.Second // that an answer may take
	slowestBody = 30 * time.Second // from the headers of a request to the end of its body
)

// A problem is an answer that says what was wrong and what to do.
type problem struct {
	status  int
	Message string `json:"message"`
	Fix     string `json:"fix,omitempty"`
	Field   string `json:"field,omitempty"` // of the form, when it is about one
}

func (e *problem) Error() string { return e.Message }

// json answers with a JSON document.
func (p *Page) json(answer func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		result, err := answer(r)
		if err != nil {
			var known *problem
			if !errors.As(err, &known) {
				p.opts.Log.Error("page: a request failed", "path", r.URL.Path, "error", err)
				known = &problem{status: http.StatusInternalServerError, Message: err.Error()}
			}
			fail(w, known)
			return
		}
		write(w, http.StatusOK, result)
	}
}

func fail(w http.ResponseWriter, e *problem) {
	write(w, e.status, map[string]*problem{"error": e})
}

func write(w http.ResponseWriter, status int, document any) {
	body, err := json.Marshal(document)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":{"message":"The answer has no form in JSON."}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // whoever asked may have gone
}

// readBody reads the JSON body of a request, which has at most so many bytes.
func readBody(r *http.Request, most int64) ([]byte, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, &problem{status: http.StatusUnsupportedMediaType, Message: "The body has to be JSON.",
			Fix: "Send the header Content-Type: application/json."}
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, most))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, &problem{status: http.StatusRequestEntityTooLarge,
			Message: fmt.Sprintf("The body is longer than %d bytes.", most),
			Fix:     "Put the data where the function can read it, and submit where it is."}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, &problem{status: http.StatusRequestTimeout, Message: "The body did not come in time.",
			Fix: "Send it again, over a faster connection."}
	}
	if err != nil {
		return nil, &problem{status: http.StatusBadRequest, Message: fmt.Sprintf("The body could not be read: %v.", err)}
	}
	return body, nil
}
