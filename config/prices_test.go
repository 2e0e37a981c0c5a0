package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPriceFilesFromDiskBeforeEmbedded(t *testing.T) {
	path := write(t, "tollgate.yaml", "pricing: {currency: CNY, files: [mine.yaml, somewhere/bigmodel.yaml]}", 0o600)
	mine := filepath.Join(filepath.Dir(path), "mine.yaml")
	writeAt(t, mine, "currency: CNY\n")
	c, err := Load(path, env())
	if err != nil {
		t.Fatal(err)
	}
	files, err := c.PriceFiles()
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 2 || files[0].Name != mine || string(files[0].Data) != "currency: CNY\n" {
		t.Errorf("files = %+v", files)
	}
	if !strings.Contains(string(files[1].Data), "currency: CNY") {
		t.Errorf("the embedded table was not taken: %.80s", files[1].Data)
	}
}

func TestPriceFilesThatAreNotThere(t *testing.T) {
	c := mustParse(t, "pricing:\n  currency: CNY\n  files:\n    - no/such.yaml\n    - nor/this.json\n")
	_, err := c.PriceFiles()
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != 2 {
		t.Fatalf("err = %v, want two problems", err)
	}
	for i, want := range []string{"tollgate.yaml:4:7: pricing.files[0]: ", "tollgate.yaml:5:7: pricing.files[1]: "} {
		if got := problems[i].Error(); !strings.HasPrefix(got, want) || !strings.Contains(got, "bigmodel.yaml") {
			t.Errorf("problem %d = %s", i, got)
		}
	}
	if _, err := mustParse(t, "").PriceFiles(); err == nil || !strings.Contains(err.Error(), "files: [prices/openai.yaml]") {
		t.Errorf("without a table: %v", err)
	}
}

// A table that is named twice, whatever by, is told as that: each of its rows would be said to be in its own way.
func TestPriceFilesNamedTwice(t *testing.T) {
	for _, files := range []string{"[prices/bigmodel.yaml, prices/bigmodel.yaml]", "[bigmodel.yaml, elsewhere/bigmodel.yaml]"} {
		_, err := mustParse(t, "pricing: {currency: CNY, files: "+files+"}\n").PriceFiles()
		if err == nil || !strings.Contains(err.Error(), "pricing.files[1]: ") || !strings.Contains(err.Error(), "is the table bigmodel.yaml, which is named above") {
			t.Errorf("%s: %v", files, err)
		}
	}
}

func writeAt(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
