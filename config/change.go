package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Changes compares a running configuration with the next one. Live are
// sentences about what a reload puts in force; restart are the settings that
// differ and stay as they were until the process is started again.
func (c *Config) Changes(next *Config) (live, restart []string) {
	live = append(upstreamChanges(c.Upstreams, next.Upstreams), pricingChanges(c.Pricing, next.Pricing)...)
	for _, setting := range []struct {
		name     string
		old, new any
	}{
		{"listen", c.Listen, next.Listen},
		{"admin.listen", c.Admin.Listen, next.Admin.Listen},
		{"admin.token", c.Admin.Token, next.Admin.Token},
		{"ledger.redis", c.Ledger.Redis, next.Ledger.Redis},
		{"ledger.shards", c.Ledger.Shards, next.Ledger.Shards},
		{"ledger.hold_ttl", c.Ledger.HoldTTL, next.Ledger.HoldTTL},
		{"ledger.task_ttl", c.Ledger.TaskTTL, next.Ledger.TaskTTL},
		{"ledger.log", c.Ledger.Log, next.Ledger.Log},
		{"ledger.durability", c.Ledger.Durability, next.Ledger.Durability},
		{"archive", c.Archive, next.Archive},
		{"pricing.currency", c.Pricing.Currency, next.Pricing.Currency},
		{"policy.quota_status", c.Policy.QuotaStatus, next.Policy.QuotaStatus},
		{"policy.on_disconnect", c.Policy.OnDisconnect, next.Policy.OnDisconnect},
		{"policy.drain", c.Policy.Drain, next.Policy.Drain},
		{"policy.on_abandoned", c.Policy.OnAbandoned, next.Policy.OnAbandoned},
		{"policy.default_max_output", c.Policy.DefaultMaxOutput, next.Policy.DefaultMaxOutput},
		{"policy.max_body", c.Policy.MaxBody, next.Policy.MaxBody},
		{"policy.max_kept_answer", c.Policy.MaxKept, next.Policy.MaxKept},
		{"policy.timezone", c.Policy.Timezone.String(), next.Policy.Timezone.String()},
		{"policy.cors_origins", strings.Join(c.Policy.CORSOrigins, " "), strings.Join(next.Policy.CORSOrigins, " ")},
	} {
		if setting.old != setting.new {
			restart = append(restart, setting.name)
		}
	}
	return live, restart
}

// WithLive returns the running configuration with the settings of next that a
// reload puts in force.
func (c *Config) WithLive(next *Config) *Config {
	merged := *c
	merged.Upstreams = next.Upstreams
	merged.Pricing.Exchange, merged.Pricing.Files, merged.Pricing.origins = next.Pricing.Exchange, next.Pricing.Files, next.Pricing.origins
	merged.Warnings, merged.pending = next.Warnings, next.pending
	return &merged
}

func upstreamChanges(old, next []Upstream) (live []string) {
	before := map[string]Upstream{}
	for _, u := range old {
		before[u.Name] = u
	}
	for _, u := range next {
		was, known := before[u.Name]
		delete(before, u.Name)
		switch {
		case !known:
			live = append(live, "upstream "+u.Name+" added")
		case !reflect.DeepEqual(was, u):
			live = append(live, "upstream "+u.Name+" changed")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		live = append(live, "upstream "+name+" removed")
	}
	return live
}

func pricingChanges(old, next Pricing) (live []string) {
	if !maps.Equal(old.Exchange, next.Exchange) {
		live = append(live, "pricing.exchange changed")
	}
	if !slices.Equal(old.Files, next.Files) {
		live = append(live, "pricing.files changed")
	}
	return live
}
