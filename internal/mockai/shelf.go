package mockai

import "sync"

// shelfSize is how many things a shelf keeps.
const shelfSize = 10_000

// A shelf keeps what was made, by id. When it is full, the oldest goes.
type shelf[T any] struct {
	mu   sync.Mutex
	made map[string]T
	ids  []string // in order
}

func (s *shelf[T]) put(id string, thing T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made == nil {
		s.made = make(map[string]T)
	}
	if len(s.ids) == shelfSize {
		delete(s.made, s.ids[0])
		s.ids = s.ids[1:]
	}
	s.made[id] = thing
	s.ids = append(s.ids, id)
}

func (s *shelf[T]) get(id string) (thing T, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	thing, known = s.made[id]
	return thing, known
}

func (s *shelf[T]) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.made, id) // its place stays, until it is the oldest
}
