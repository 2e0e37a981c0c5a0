package redistest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

const (
	clusterMasters = 3
	clusterSlots   = 16384
)

// Cluster is a Redis Cluster of three masters with a replica each.
type Cluster struct {
	// Nodes are the masters and then their replicas, in the same order, as they are at the start.
	Nodes []*Server
}

// StartCluster starts a cluster, which ends with the test. It goes on with the
// slots that are left when a master dies, and replaces it within seconds.
func StartCluster(t testing.TB, options ...Option) *Cluster {
	t.Helper()
	settings := WithConfig("--cluster-enabled", "yes", "--cluster-require-full-coverage", "no", "--cluster-node-timeout", "1500",
		"--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
	c := new(Cluster)
	for range 2 * clusterMasters {
		c.Nodes = append(c.Nodes, Start(t, append([]Option{settings}, options...)...))
	}
	if err := c.join(context.Background()); err != nil {
		t.Fatalf("start a cluster: %v", err)
	}
	return c
}

// URL is the ledger URL of the cluster.
func (c *Cluster) URL() string {
	list := make([]string, len(c.Nodes))
	for i, n := range c.Nodes {
		list[i] = n.Addr()
	}
	return "redis+cluster://" + strings.Join(list, ",")
}

func (c *Cluster) join(ctx context.Context) error {
	first := c.Nodes[0].Client()
	for i, n := range c.Nodes {
		// Epochs of their own spare the nodes the time to agree on some.
		errs := []error{n.Client().Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err()}
		if i > 0 {
			errs = append(errs, first.ClusterMeet(ctx, "127.0.0.1", fmt.Sprint(n.port)).Err())
		}
		if i < clusterMasters {
			errs = append(errs, n.Client().ClusterAddSlotsRange(ctx, i*clusterSlots/clusterMasters, (i+1)*clusterSlots/clusterMasters-1).Err())
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
	if err := c.eachSays(ctx, "all nodes known", func(n *Server) bool {
		info := n.Client().ClusterInfo(ctx).Val()
		return strings.Contains(info, "cluster_known_nodes:6\r\n")
	}); err != nil {
		return err
	}
	for i, n := range c.Nodes[clusterMasters:] {
		id, err := c.Nodes[i].Client().Do(ctx, "CLUSTER", "MYID").Text()
		if err != nil {
			return err
		}
		if err := c.replicate(ctx, n, id); err != nil {
			return err
		}
	}
	if err := c.eachSays(ctx, "cluster up, six nodes with their roles", func(n *Server) bool {
		known := n.Client().ClusterNodes(ctx).Val()
		return strings.Contains(n.Client().ClusterInfo(ctx).Val(), "cluster_state:ok") &&
			strings.Count(known, "slave ") == clusterMasters && !strings.Contains(known, "handshake")
	}); err != nil {
		return err
	}
	for _, n := range c.Nodes[clusterMasters:] {
		if err := n.AwaitReplication(ctx); err != nil {
			return err
		}
	}
	return nil
}

// replicate waits until a node knows the master, which gossip tells it.
func (c *Cluster) replicate(ctx context.Context, n *Server, master string) error {
	return poll(ctx, "replica of "+master, func() bool { return n.Client().ClusterReplicate(ctx, master).Err() == nil })
}

func (c *Cluster) eachSays(ctx context.Context, what string, says func(*Server) bool) error {
	for _, n := range c.Nodes {
		if err := poll(ctx, what, func() bool { return says(n) }); err != nil {
			return err
		}
	}
	return nil
}

// AwaitReplication waits until a replica has its master's data and follows it.
func (s *Server) AwaitReplication(ctx context.Context) error {
	return poll(ctx, "link to the master", func() bool {
		return strings.Contains(s.Client().Info(ctx, "replication").Val(), "master_link_status:up")
	})
}

// poll asks until the answer is yes, or the time for starting is over.
func poll(ctx context.Context, what string, yes func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 2*startTimeout)
	defer cancel()
	for !yes() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}
