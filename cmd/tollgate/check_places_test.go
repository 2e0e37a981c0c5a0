package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/redistest"
	"github.com/tollgate/tollgate/ledger"
)

// foundArchived makes a ledger that has an archive, as the first serve does.
func foundArchived(t *testing.T, redis, archive string) {
	t.Helper()
	l, err := ledger.Open(context.Background(), ledger.Options{URL: redis, Currency: "CNY", Archive: archive})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// listing is all that is in a directory.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		names = append(names, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, "\n")
}

// What serve needs beside Redis is looked at, and left as it was.
func TestCheckLooksAtArchiveAndLog(t *testing.T) {
	server := redistest.Start(t, redistest.WithAOF("everysec"))
	dir := t.TempDir()
	t.Chdir(dir)
	writeFile(t, dir, "file", "")
	writeFile(t, dir, "other.db", "this is no database, but long enough to be taken for one at first sight")
	foundArchived(t, server.URL(), "sqlite:"+dir+"/archive.db")
	foreign := redistest.Start(t)
	foundArchived(t, foreign.URL(), "sqlite:"+dir+"/foreign.db")
	for _, tt := range []struct {
		what, archive, log string
		path, want         string // of the problem; empty: all is right
	}{
		{"both there", "sqlite:./archive.db", ".", "", ""},
		{"a log to be made", "sqlite:./archive.db", "./a/b/c", "", ""},
		{"no archive where there was one", "sqlite:./gone/archive.db", "./logs", "archive.url", filepath.Join(dir, "gone", "archive.db")},
		{"another ledger's archive", "sqlite:./foreign.db", "./logs", "archive.url", "not the ledger's archive"},
		{"no database", "sqlite:./other.db", "./logs", "archive.url", "not a database"},
		{"an archive out of reach", "postgres://tollgate:hush@127.0.0.1:1/tollgate", "./logs", "archive.url", "postgres://tollgate:xxxxx@127.0.0.1:1/tollgate"},
		{"a password in the query", "postgres://127.0.0.1:1/tollgate?password=hush", "./logs", "archive.url", "127.0.0.1:1"},
		{"a file for a log", "sqlite:./archive.db", "./file", "ledger.log", filepath.Join(dir, "file") + " is no directory"},
		{"a file above the log", "sqlite:./archive.db", "./file/logs", "ledger.log", filepath.Join(dir, "file") + " is no directory"},
	} {
		path := writeFile(t, dir, "c.yaml", "ledger: {redis: '"+server.URL()+"', log: '"+tt.log+"'}\narchive: {url: '"+tt.archive+"'}\npricing: {currency: CNY}\n")
		before := listing(t, dir)
		r := runWith(t, nil, "check", "--json", "-c", path)
		var c checked
		if err := json.Unmarshal([]byte(r.stdout), &c); err != nil {
			t.Fatalf("%s: %v in %s", tt.what, err, r.stdout)
		}
		switch {
		case tt.want == "" && (r.exit != exitOK || !c.OK || len(c.Problems) != 0):
			t.Errorf("%s: exit %d, problems %+v", tt.what, r.exit, c.Problems)
		case tt.want != "" && (r.exit != exitFailed || c.OK || len(c.Problems) != 1 || c.Problems[0].Path != tt.path || !strings.Contains(c.Problems[0].Message, tt.want)):
			t.Errorf("%s: exit %d, problems %+v, want %s: %s", tt.what, r.exit, c.Problems, tt.path, tt.want)
		}
		if strings.Contains(r.stdout+r.stderr, "hush") {
			t.Errorf("%s: the password is shown: %s", tt.what, r.stdout)
		}
		if after := listing(t, dir); after != before {
			t.Errorf("%s: before\n%s\nafter\n%s", tt.what, before, after)
		}
	}
}

// Before the first serve there is no archive, and that is right.
func TestCheckBeforeTheFirstServe(t *testing.T) {
	server := redistest.Start(t, redistest.WithAOF("everysec"))
	dir := t.TempDir()
	writeFile(t, dir, "file", "")
	for name, want := range map[string]string{"data/archive.db": "", "file/archive.db": "is no directory"} {
		path := writeFile(t, dir, "c.yaml", "ledger: {redis: '"+server.URL()+"', log: '"+dir+"/logs'}\narchive: {url: 'sqlite:"+filepath.Join(dir, name)+"'}\npricing: {currency: CNY}\n")
		r := runWith(t, nil, "check", "-c", path)
		if !strings.Contains(r.stdout, want) || (r.exit == exitOK) != (want == "") {
			t.Errorf("%s: exit %d\n%s", name, r.exit, r.stdout)
		}
		if want == "" && !strings.Contains(r.stdout, "there is no archive yet: the first `tollgate serve` makes it") {
			t.Errorf("%s: nothing is said of the archive\n%s", name, r.stdout)
		}
	}
}
