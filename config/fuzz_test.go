package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzLoad: whatever the file holds, there is a configuration or there are
// problems that say where, and what is accepted is within its limits.
func FuzzLoad(f *testing.F) {
	f.Add(designBlock)
	files, _ := filepath.Glob("testdata/*.yaml")
	examples, _ := filepath.Glob("../examples/*.yaml")
	for _, file := range append(files, examples...) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Fuzz(func(t *testing.T, yaml string) {
		c, _, err := parse("c.yaml", []byte(yaml), strings.ToLower)
		if err != nil {
			var problems Problems
			if !errors.As(err, &problems) || len(problems) == 0 {
				t.Fatalf("an error without problems: %v", err)
			}
			for _, p := range problems {
				if p.Message == "" {
					t.Fatalf("a problem without words: %+v", p)
				}
			}
			return
		}
		if c.Policy.QuotaStatus != 429 && c.Policy.QuotaStatus != 402 || c.Policy.Timezone == nil || c.Policy.DefaultMaxOutput < 1 || c.Policy.MaxBody < 1<<10 {
			t.Fatalf("policy %+v", c.Policy)
		}
		if c.Ledger.HoldTTL < minHoldTTL || c.Ledger.Shards < 0 {
			t.Fatalf("ledger %+v", c.Ledger)
		}
		for _, u := range c.Upstreams {
			if u.Name == "" || u.BaseURL == "" || len(u.Models) == 0 || u.Weight < 1 {
				t.Fatalf("upstream %+v", u)
			}
		}
	})
}
