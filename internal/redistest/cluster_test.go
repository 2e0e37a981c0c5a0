package redistest

import (
	"strings"
	"testing"
)

// A master's place is taken by its replica, within seconds.
func TestClusterFailsOver(t *testing.T) {
	if testing.Short() {
		t.Skip("six servers")
	}
	c := StartCluster(t)
	c.Nodes[0].Kill()
	err := poll(t.Context(), "the promotion", func() bool {
		return strings.Contains(c.Nodes[3].Client().Info(t.Context(), "replication").Val(), "role:master")
	})
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, c.Nodes[1].Client().ClusterNodes(t.Context()).Val(), c.Nodes[3].output)
	}
}
