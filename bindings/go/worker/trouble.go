package worker

import "sync"

// A trouble is something that does not work just now, for /readyz.
type trouble struct {
	lock sync.Mutex
	why  string
}

func (t *trouble) fails(why string) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.why = why
}

func (t *trouble) works() {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.why = ""
}

// is says what does not work, "" when it does.
func (t *trouble) is() string {
	t.lock.Lock()
	defer t.lock.Unlock()
	return t.why
}
