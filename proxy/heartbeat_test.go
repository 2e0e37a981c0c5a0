package proxy

import "testing"

// A call that has its hold and no upstream yet has nothing to be charged for: the
// beat that meets it must not look for one.
func TestNoCheckpointBeforeAnUpstream(t *testing.T) {
	c := &call{proxy: idleProxy()}
	if checkpoint, ok := c.checkpoint(); ok {
		t.Errorf("a checkpoint of %+v", checkpoint)
	}
}
