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

// A connection that does not come about is no reason to cut the call.
func TestCutExpires(t *testing.T) {
	slow := errors.New("slow")
	var c cut
	var work interrupted
	_ = c.begin(dialing{func() { work.times++ }})
	if c.expire(slow); work.times != 1 || !c.end() {
		t.Errorf("a connection: interrupted %d times, cut by %v", work.times, c.cause())
	}
	_ = c.begin(&work)
	if c.expire(slow); work.times != 2 || c.end() || !errors.Is(c.cause(), slow) {
		t.Errorf("other work: interrupted %d times, cut by %v", work.times-1, c.cause())
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
