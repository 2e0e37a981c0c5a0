package proxy

import (
	"io"
	"sync"

	"github.com/tollgate/tollgate/meter"
)

// sharedTap is the tap of a call's answer. The handler passes the answer through
// it, while the heartbeat asks what has been used so far. A panic in the tap must
// not keep the lock: the end of the call asks again.
type sharedTap struct {
	mu  sync.Mutex // guards who serves the call, too: what was used is priced by that
	tap *meter.Tap
}

// set puts a tap in, or nil, and returns the one that was there.
func (s *sharedTap) set(tap *meter.Tap) *meter.Tap {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.tap
	s.tap = tap
	return before
}

// startTap puts a tap in for the answer to a request.
func (c *call) startTap(request *meter.Request) *meter.Tap {
	tap := c.proxy.taps.Get().(*meter.Tap)
	tap.Reset(request, c.answer.Header.Get("Content-Type"))
	c.tap.set(tap)
	return tap
}

// look reads a piece of an answer that is gathered.
func (s *sharedTap) look(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tap.Look(p)
}

// adopt makes a stream of an answer that was gathered, and returns what of it may go out.
func (s *sharedTap) adopt(gathered []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tap.Adopt(gathered)
}

// pass reads a piece of a stream and appends to dst what of it may go out. done:
// the stream has said that it is at its end.
func (s *sharedTap) pass(dst, p []byte) (out []byte, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out = s.tap.Pass(dst, p)
	return out, s.tap.Done()
}

// atEnd returns io.ErrUnexpectedEOF if the answer stopped inside a JSON document, or
// a stream without its API's end mark.
func (s *sharedTap) atEnd() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tap.Cut() {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// task is what the answer tells of a task.
func (s *sharedTap) task() (id string, state meter.TaskState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tap.Task()
}

// objects is what the answer is called where it is kept, "" where that is not told, and what its items are.
func (s *sharedTap) objects() (id string, parts []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tap.ObjectID(), s.tap.PartIDs()
}

// brought reports whether the answer has something of what its task makes.
func (s *sharedTap) brought() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tap.Brought()
}

// usage is the usage as far as the answer has reported it.
func (s *sharedTap) usage() meter.Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tap.Usage()
}

// usageAtEnd is the usage of a stream that came to its end.
func (s *sharedTap) usageAtEnd() meter.Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tap.UsageAtEnd()
}

// usageOfPart is the usage of an answer that broke off.
func (s *sharedTap) usageOfPart() meter.Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tap.UsageOfPart()
}

// began reports whether anything of the answer has come.
func (s *sharedTap) began() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tap.Began()
}

// failed reports whether the answer so far is an error and nothing else.
func (s *sharedTap) failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tap.Failed()
}

// end is the withheld end of the answer, with the cost in its usage if there is one.
func (s *sharedTap) end(cost []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tap.EndWithCost(cost)
}
