package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// A target is what the loads are put on.
type target struct {
	name string
	// start starts it afresh, so that no load meets what another has left, in
	// memory above all, and the idle ones cost the machine nothing.
	start func(ctx context.Context, h *house, b *books) (*running, error)
	// without are loads, by name, that it does not answer: a peer need not know all endpoints.
	without map[string]bool
}

// running is a target that has been started.
type running struct {
	bases   []string // URLs to which a load's path is added; several are one target of several processes
	pids    []int    // whose CPU time and memory are the target's; none: not known
	metrics []string // URLs that tell its allocations, if any
	key     string   // for every load, of a target that does not keep our books
	books   *books   // of one that does
}

const (
	direct   = "upstream alone"
	unit     = "ReverseProxy" // the target that all ratios refer to
	tollgate = "Tollgate"
)

// keys are those that pay for a load.
func (r *running) keys(l *load) []string {
	if r.books == nil {
		return []string{r.key}
	}
	return r.books.keys[l.payer]
}

// targets are those that the command line chose, and were found.
func (s *setup) targets(o *options) (list []target, skipped []string) {
	role := func(name, role string) target {
		return target{name: name, start: func(ctx context.Context, h *house, _ *books) (*running, error) {
			p, urls, err := h.startServer(ctx, name, []string{"admin"}, s.self, role, "127.0.0.1:0", s.upstreamURL)
			if err != nil {
				return nil, err
			}
			return &running{bases: []string{urls["listening"] + "/v1"}, pids: []int{p.pid()}, metrics: []string{urls["admin"] + "/metrics"}, key: "none"}, nil
		}}
	}
	list = []target{
		{name: direct, start: func(context.Context, *house, *books) (*running, error) {
			return &running{bases: []string{s.plainURL + "/v1"}, pids: []int{s.upstream.pid()}, key: "none"}, nil
		}},
		role(unit, "role-reverseproxy"),
	}
	binary, err := findNginx()
	if err == nil {
		list = append(list, target{name: "nginx", start: func(ctx context.Context, h *house, _ *books) (*running, error) {
			return startNginx(ctx, h, binary, s.dir, s.upstreamURL)
		}})
	} else if o.wants("nginx") {
		skipped = append(skipped, err.Error())
	}
	list = append(list, role("fasthttp", "role-fasthttp"), target{name: tollgate, start: s.startTollgate})
	list = slices.DeleteFunc(list, func(t target) bool { return !o.wants(t.name) })
	return list, skipped
}

// peers are the gateways that somebody has set up. A load that one does not
// answer is left out for it, with a word.
func (o *options) peerTargets(ctx context.Context) (list []target, skipped []string, err error) {
	for _, p := range o.peers {
		r := &running{bases: []string{p.url}, pids: p.pids, key: p.key}
		t := target{name: p.name, without: make(map[string]bool), start: func(context.Context, *house, *books) (*running, error) { return r, nil }}
		for i := range o.loads {
			l := &o.loads[i]
			if !l.measured(&t) {
				continue
			}
			shot, err := l.at(r.bases, r.key)
			if err != nil {
				return nil, nil, err
			}
			if err := r.count(ctx, &figures{}, shot); err != nil {
				t.without[l.name] = true
				skipped = append(skipped, fmt.Sprintf("%s under load %s: %v", p.name, l.name, err))
			}
		}
		list = append(list, t)
	}
	return list, skipped, nil
}

// choices are the targets that may be left out. The upstream alone and the
// unit are always there: without them there is nothing to compare with.
var choices = []string{"nginx", "fasthttp", tollgate}

func chooseTargets(list string) ([]string, error) {
	chosen := []string{}
	if list == "none" {
		return chosen, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		if !slices.Contains(choices, name) {
			return nil, fmt.Errorf("no target %q (of %s, or none)", name, strings.Join(choices, ","))
		}
		chosen = append(chosen, name)
	}
	return chosen, nil
}

// wants says whether a target was chosen.
func (o *options) wants(name string) bool {
	return !slices.Contains(choices, name) || o.targets == nil || slices.Contains(o.targets, name)
}

// measured says whether a load is put on a target. Who pays makes a difference
// to Tollgate only, and of slow streams the upstream alone says nothing.
func (l *load) measured(t *target) bool {
	switch {
	case t.without[l.name]:
		return false
	case l.like != "":
		return t.name == tollgate
	case l.every > 0:
		return t.name != direct
	}
	return true
}
