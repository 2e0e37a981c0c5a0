package config

import (
	"path/filepath"
	"testing"
)

// The examples load, and their price tables are found.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../examples/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("examples: %v, %v", files, err)
	}
	for _, file := range files {
		c, err := Load(file, env("OPENAI_API_KEY=sk", "BIGMODEL_API_KEY=bm"))
		if err != nil {
			t.Errorf("%s:\n%s", file, err)
			continue
		}
		if _, err := c.PriceFiles(); err != nil {
			t.Errorf("%s:\n%s", file, err)
		}
		if len(c.Warnings) != 0 {
			t.Errorf("%s: warnings %q", file, c.Warnings)
		}
	}
}
