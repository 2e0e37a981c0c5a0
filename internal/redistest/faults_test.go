package redistest

import (
	"testing"
	"time"
)

// A disk that hangs takes what everysec has acknowledged from a server that is killed.
func TestDiskHangs(t *testing.T) {
	s := Start(t, WithAOF("everysec"), WithFaults(t))
	set := func(key string) {
		t.Helper()
		if err := s.Client().Set(t.Context(), key, "1", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	sync := func(when string) {
		t.Helper()
		if err := s.Client().ConfigSet(t.Context(), "appendfsync", when).Err(); err != nil {
			t.Fatal(err)
		}
	}
	sync("always")
	set("before") // synced: its own sync must not be the one that hangs
	sync("everysec")
	s.HangDisk()
	set("syncing") // written, and its sync hangs within a second
	if err := s.AwaitHang(t.Context()); err != nil {
		t.Fatal(err)
	}
	set("postponed") // acknowledged, and in no file
	s.Kill()
	s.FreeDisk()
	s.Start()
	if there := s.Client().Exists(t.Context(), "before", "syncing").Val(); there != 2 {
		t.Errorf("%d keys are left of those that were written before the disk hung, want 2", there)
	}
	if s.Client().Exists(t.Context(), "postponed").Val() != 0 {
		t.Error("what was postponed is there: the disk did not hang")
	}
}

func TestClockSteps(t *testing.T) {
	s := Start(t, WithFaults(t))
	for _, ahead := range []time.Duration{time.Hour, -time.Hour, 0} {
		s.SetClock(ahead)
		got, err := s.Client().Eval(t.Context(), "return redis.call('TIME')[1]", nil).Int64()
		if err != nil {
			t.Fatal(err)
		}
		if off := time.Until(time.Unix(got, 0)) - ahead; off.Abs() > 5*time.Second {
			t.Errorf("stepped by %s, the clock is off by %s", ahead, off)
		}
	}
}
