package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const tollgateConfig = `listen: 127.0.0.1:0
admin: {listen: 127.0.0.1:0}
ledger: {redis: %q, log: %q}
upstreams:
  - {name: upstream, base_url: "%s/v1", api_key: upstream-secret, models: ["bench-*"]}
pricing: {currency: CNY, files: [%q]}
`

const tollgatePrices = `currency: CNY
prices:
  - models: ["bench-*"]
    endpoints: [chat, embeddings]
    tiers:
      - {input: "[0,32000)", rates: {input: 2/1M, output: 8/1M, cached_input: 0.4/1M}}
      - {input: "[32000,)", rates: {input: 4/1M, output: 16/1M, cached_input: 0.8/1M}}
  - models: ["bench-*"]
    endpoints: [images]
    rates: {image: 0.06}
`

// startTollgate starts a proxy on the books.
func (s *setup) startTollgate(ctx context.Context, h *house, b *books) (*running, error) {
	p, urls, err := h.startServer(ctx, "tollgate", []string{"admin"}, s.binary, "serve", "-c", b.operator.config)
	if err != nil {
		return nil, err
	}
	return &running{bases: []string{urls["listening"] + "/v1"}, pids: []int{p.pid()}, metrics: []string{urls["admin"] + "/metrics"}, books: b}, nil
}

// An operator uses Tollgate as its operator does: by its verbs.
type operator struct {
	binary, config string
}

// newOperator writes the configuration for a ledger.
func (s *setup) newOperator(dir, redisURL string) (*operator, error) {
	prices, config := filepath.Join(dir, "prices.yaml"), filepath.Join(dir, "tollgate.yaml")
	if err := os.WriteFile(prices, []byte(tollgatePrices), 0o600); err != nil {
		return nil, err
	}
	text := fmt.Appendf(nil, tollgateConfig, redisURL, filepath.Join(dir, "settlements"), s.upstreamURL, prices)
	return &operator{s.binary, config}, os.WriteFile(config, text, 0o600)
}

// makeAccount makes an account with money. The reference is the account's own,
// so that the same topup can be repeated for another account.
func (o *operator) makeAccount(ctx context.Context, account string) error {
	if _, err := o.run(ctx, "account", "create", account); err != nil {
		return err
	}
	_, err := o.run(ctx, "topup", account, "1000000", "--ref", "opening")
	return err
}

// makeKey makes a key of an account and returns its secret.
func (o *operator) makeKey(ctx context.Context, account string, limits ...string) (secret string, err error) {
	out, err := o.run(ctx, append([]string{"key", "create", account}, limits...)...)
	if err != nil {
		return "", err
	}
	var made struct{ Secret string }
	if err := json.Unmarshal(out, &made); err != nil || made.Secret == "" {
		return "", fmt.Errorf("key create printed no secret: %q", out)
	}
	return made.Secret, nil
}

// grant gives an account packs that will not be used up.
func (o *operator) grant(ctx context.Context, account string, packs int) error {
	for range packs {
		if _, err := o.run(ctx, "pack", "grant", account, "--quantity", "1000000000000", "--models", "bench-*"); err != nil {
			return err
		}
	}
	return nil
}

// run runs a verb and returns what it prints.
func (o *operator) run(ctx context.Context, verb ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, o.binary, append(verb, "--json", "-c", o.config)...)
	var log tailLog
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("tollgate %v: %w: %s", verb, err, &log)
	}
	return out, nil
}
