package proxy

import (
	"errors"
	"testing"
)

type interrupted struct{ times int }

func (i *interrupted) interrupt() { i.times++ }

func TestCut(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	var c cut
	var early, work, late interrupted
	if err := c.begin(&early); err != nil || !c.end() || c.cause() != nil {
		t.Fatal("what was not cut did not come to its end")
	}
	_ = c.begin(&work)
	c.now(first)
	c.now(second)
	if !errors.Is(c.cause(), first) || c.end() {
		t.Errorf("cut by %v, want the first cause, and an end that knows of it", c.cause())
	}
	if err := c.begin(&late); !errors.Is(err, first) {
		t.Errorf("what was cut began again: %v", err)
	}
	c.now(second)
	if early.times != 0 || work.times != 1 || late.times != 0 {
		t.Errorf("interrupted %d, %d and %d times, want the one that was at work, once", early.times, work.times, late.times)
	}
}

func TestTerm(t *testing.T) {
	var s term
	if s.isOver(1 << 60) {
		t.Error("a term that does not run is over")
	}
	s.run(100, 50)
	if s.isOver(150) || !s.isOver(151) {
		t.Error("a term of 50 from 100 is not over behind 150")
	}
	if s.stop(); s.isOver(1 << 60) {
		t.Error("a term that was stopped is over")
	}
}
