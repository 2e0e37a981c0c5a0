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
ledger: {redis: "redis://%s/0"}
upstreams:
  - {name: upstream, base_url: "%s/v1", api_key: upstream-secret, models: ["bench-*"]}
pricing: {currency: CNY, files: ["%s"]}
`

const tollgatePrices = `currency: CNY
prices:
  - models: ["bench-*"]
    endpoints: [chat, embeddings]
    tiers:
      - {input: "[0,32000)", rates: {input: 2/1M, output: 8/1M, cached_input: 0.4/1M}}
      - {input: "[32000,)", rates: {input: 4/1M, output: 16/1M, cached_input: 0.8/1M}}
`

// An operator uses Tollgate as its operator does: by its verbs.
type operator struct {
	binary, config string
}

// setUpTollgate builds the binary if it has to, and writes its configuration.
func setUpTollgate(ctx context.Context, dir, binary, upstream string, redis *redisServer) (*operator, error) {
	if binary == "" {
		binary = filepath.Join(dir, "tollgate")
		build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/tollgate")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go build ./cmd/tollgate: %w\n%s", err, out)
		}
	}
	prices := filepath.Join(dir, "prices.yaml")
	config := filepath.Join(dir, "tollgate.yaml")
	if err := os.WriteFile(prices, []byte(tollgatePrices), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(config, fmt.Appendf(nil, tollgateConfig, redis.address, upstream, prices), 0o600); err != nil {
		return nil, err
	}
	return &operator{binary, config}, nil
}

// makeKey makes an account with money and a key, and returns the key's secret.
func (o *operator) makeKey(ctx context.Context) (secret string, err error) {
	if _, err := o.run(ctx, "account", "create", "bench"); err != nil {
		return "", err
	}
	if _, err := o.run(ctx, "topup", "bench", "1000000"); err != nil {
		return "", err
	}
	out, err := o.run(ctx, "key", "create", "bench")
	if err != nil {
		return "", err
	}
	var made struct{ Secret string }
	if err := json.Unmarshal(out, &made); err != nil || made.Secret == "" {
		return "", fmt.Errorf("key create printed no secret: %q", out)
	}
	return made.Secret, nil
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
