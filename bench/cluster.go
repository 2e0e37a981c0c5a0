package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

const clusterSlots = 16384

// openClusterBooks starts a Redis Cluster of masters without replicas.
func (s *setup) openClusterBooks(ctx context.Context, h *house, masters int) (*books, error) {
	dir, err := h.folder(s.dir)
	if err != nil {
		return nil, err
	}
	b := &books{keys: make(map[payer][]string)}
	var addresses []string
	for i := range masters {
		r, err := startMaster(ctx, h, dir, i*clusterSlots/masters, (i+1)*clusterSlots/masters-1)
		if err != nil {
			return nil, err
		}
		b.servers, addresses = append(b.servers, r.redisServer), append(addresses, r.address)
		if err := r.meet(b.servers[0], addresses[0]); err != nil {
			return nil, err
		}
	}
	if err := b.agreed(ctx); err != nil {
		return nil, err
	}
	b.operator, err = s.newOperator(dir, "redis+cluster://"+strings.Join(addresses, ","))
	return b, err
}

// A master is a node of the cluster, with the port on which it meets the others.
type master struct {
	*redisServer
	bus string
}

func startMaster(ctx context.Context, h *house, dir string, firstSlot, lastSlot int) (*master, error) {
	bus, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(bus)
	r, err := startRedis(ctx, h, dir, "--cluster-enabled", "yes", "--cluster-port", port)
	if err != nil {
		return nil, err
	}
	_, err = r.conn.do("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(firstSlot), strconv.Itoa(lastSlot))
	return &master{r, port}, err
}

// meet has the first node take up this one.
func (m *master) meet(first *redisServer, address string) error {
	if m.address == address {
		return nil
	}
	host, port, err := net.SplitHostPort(m.address)
	if err != nil {
		return err
	}
	_, err = first.conn.do("CLUSTER", "MEET", host, port, m.bus)
	return err
}

// agreed waits until every node knows where every slot is.
func (b *books) agreed(ctx context.Context) error {
	for range 200 {
		agree := 0
		for _, r := range b.servers {
			reply, err := r.conn.do("CLUSTER", "INFO")
			if err != nil {
				return err
			}
			text := fmt.Sprint(reply)
			if strings.Contains(text, "cluster_state:ok") && strings.Contains(text, fmt.Sprintf("cluster_known_nodes:%d\r", len(b.servers))) {
				agree++
			}
		}
		if agree == len(b.servers) {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return errors.New("the masters do not agree on a cluster within 20 s")
}
