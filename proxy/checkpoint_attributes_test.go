package proxy

import "testing"

// What a checkpoint says of the request stays as it is when the call goes on to another upstream: its
// entry is being written then.
func TestCheckpointKeepsItsAttributes(t *testing.T) {
	c := forwarded(t, "/images/generations", `{"model":"glm-4.6","prompt":"a cat"}`)
	checkpoint, ok := c.checkpoint()
	if !ok || checkpoint.Attributes["quality"] != "standard" {
		t.Fatalf("%v, attributes %v", ok, checkpoint.Attributes)
	}
	next := c.candidates[0]
	next.model = "gpt-image-1"
	c.choose(next)
	if got := checkpoint.Attributes["quality"]; got != "standard" {
		t.Errorf("quality became %q", got)
	}
}
