package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Each testdata/*.yaml has a *.txt beside it: everything that must be said of
// it, in order.
func TestGoldenErrors(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = parse(filepath.Base(file), data, env("SET=1"))
			if err == nil {
				t.Fatal("no error")
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, readErr := os.ReadFile(golden)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if got := err.Error() + "\n"; got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// Each line is one fault, and one problem must be found for it, with this in its text.
func TestOneFault(t *testing.T) {
	for _, tt := range []struct{ yaml, want string }{
		{"listen: 8080", `1:9: listen: "8080": want HOST:PORT`},
		{"listen: 127.0.0.1:99999", "want HOST:PORT"},
		{"listen: [a]", "want a single value, found a list"},
		{"listen:", "listen: has no value"},
		{"listne: 127.0.0.1:1", "1:1: listne: unknown setting: did you mean listen?"},
		{"zzz: 1", "known here are listen, admin, ledger, archive, upstreams, pricing, policy"},
		{"- a\n- b", "want settings, such as {name: value}, found a list"},
		{"hello", `found the value "hello"`},
		{strings.Repeat("root:x:0:0 ", 99), `found the value "` + strings.Repeat("root:x:0:0 ", 99)[:60] + `"`},
		{"ledger: {redis: localhost}", "want redis://host:port"},
		{"ledger: {redis: 'redis://:secret@h/x'}", `1:17: ledger.redis: "redis://:***@h/x": database "x": want a number`},
		{"ledger: {redis: 'redis://:sec/ret@h/0'}", `1:17: ledger.redis: "redis://:***@h/0": there is an @ behind a slash: want %2F for a slash in a password`},
		{"ledger: {redis: 'redis+sentinel://h'}", `1:17: ledger.redis: "redis+sentinel://h": want the master's name`},
		{"ledger: {redis: 'http://u:secret@h'}", `"http://u:***@h"`},
		{"ledger: {shards: 0}", "whole number from 1 to 4096"},
		{"ledger: {shards: 4097}", "whole number from 1 to 4096"},
		{"ledger: {shards: 6.4}", "whole number"},
		{"ledger: {hold_ttl: 15}", "want a duration with its unit"},
		{"ledger: {hold_ttl: 1ms}", "from 1s to 24h"},
		{"ledger: {task_ttl: 72h}", "from 1s to 48h"},
		{"ledger: {durability: norml}", "did you mean normal?"},
		{"ledger: {log: ' '}", "want a directory"},
		{"archive: {interval: 1s}", "archive.url: is missing"},
		{"archive: {url: 'mysql://u:p@h'}", `"mysql://u:***@h": want sqlite:PATH`},
		{"pricing: {files: [a.yaml]}", "pricing.currency: is missing"},
		{"pricing: {currency: cny}", "in capitals"},
		{"pricing: {currency: CNY, exchange: {USD: -1}}", "such as 7.1"},
		{"pricing: {currency: CNY, exchange: {USD: 1e3}}", "such as 7.1"},
		{"pricing: {currency: CNY, exchange: {USD: 0}}", "such as 7.1"},
		{"pricing: {currency: CNY, exchange: {USD: ''}}", "such as 7.1"},
		{"pricing: {currency: CNY, exchange: {USD: 0." + strings.Repeat("1", 39) + "}}", "such as 7.1"},
		{"pricing: {currency: CNY, exchange: {CNY: one}}", "such as 7.1"},
		{"pricing: {currency: CNY, exchange: {usd: 7}}", "in capitals"},
		{"pricing: {currency: CNY, exchange: {USD: 7.1, CNY: 2}}", `1:52: pricing.exchange.CNY: "2": the ledger's own currency`},
		{"upstreams: [{name: a, base_url: 'http://h/v1', models: [m], api_key: $KEY}]", "write ${KEY}"},
		{"archive: {url: 'postgres://'}", "want sqlite:PATH"},
		{"archive: {url: 'sqlite:'}", "want sqlite:PATH"},
		{"pricing: {currency: CNY, files: a.yaml}", "want a list"},
		{"pricing: {currency: CNY, files: ['']}", "pricing.files[0]: is empty"},
		{"policy: {quota_status: 403}", "want 429"},
		{"policy: {on_disconnect: drian}", "did you mean drain?"},
		{"policy: {on_abandoned: never}", "one of checkpoint, release, hold"},
		{"policy: {drain: 45}", "with its unit"},
		{"policy: {default_max_output: 0}", "whole number from 1"},
		{"policy: {max_body: 10 bananas}", "want a size"},
		{"policy: {max_body: 10}", "from 1024"},
		{"policy: {max_body: 9000GiB}", "from 1024"},
		{"policy: {max_body: 20000000000GiB}", "from 1024"}, // more bytes than a number has room for
		{"policy: {max_body: -1}", "want a size"},
		{"policy: {max_body: ''}", "want a size"},
		{"policy: {timezone: Local}", "such as UTC"},
		{"policy: {cors_origins: ['https://']}", "want where a page is from"},
		{"policy: {cors_origins: ['ftp://a.example']}", "want where a page is from"},
		{"policy: {cors_origins: ['https://a.example/']}", "want where a page is from"},
		{"policy: {cors_origins: ['https://A.example']}", "want where a page is from"},
		{"policy: {max_kept_answer: 4KiB}", "from 65536"},
		{"policy: {timezone: Peking}", "such as UTC"},
		{"policy: {timezone: ''}", "such as UTC"},
		{"upstreams: {}", "want a list"},
		{"upstreams: [a]", `found the value "a"`},
		{"upstreams: [{base_url: 'http://h', models: [m]}]", "upstreams[0].name: is missing"},
		{"upstreams: [{name: a, models: [m]}]", "upstreams[0].base_url: is missing"},
		{"upstreams: [{name: a, base_url: 'http://h'}]", "upstreams[0].models: is missing"},
		{"upstreams: [{name: a, base_url: 'http://h', models: []}]", "upstreams[0].models: is empty"},
		{"upstreams: [{name: a, base_url: 'http://h', models: {}}]", "upstreams[0].models: is empty"},
		{"upstreams: [{name: a, base_url: 'http://h', models: [{}]}]", "upstreams[0].models: is empty"},
		{"upstreams: [{name: a, base_url: 'ftp://h', models: [m]}]", "want http(s)://HOST/PATH"},
		{"upstreams: [{name: a, base_url: 'http:///v1', models: [m]}]", "want http(s)://HOST/PATH"},
		{"upstreams: [{name: a, base_url: 'http://h?x=1', models: [m]}]", "want no user, ? or #"},
		{"upstreams: [{name: a, base_url: 'http://h/v1#x', models: [m]}]", "want no user, ? or #"},
		{"upstreams: [{name: a, base_url: 'http://u@h', models: [m]}]", "want no user, ? or #"},
		{"upstreams: [{name: a, base_url: 'http://h/v1/chat/completions/', models: [m]}]", "want what stands before /chat/completions, such as http://h/v1:"},
		{"upstreams: [{name: 'a b', base_url: 'http://h', models: [m]}]", "want a name of letters"},
		{"upstreams: [{name: a, base_url: 'http://h', models: [m, m]}]", `model "m" is named twice`},
		{"upstreams: [{name: a, base_url: 'http://h', models: [{m: 'x-*'}]}]", "without *"},
		{"upstreams: [{name: a, base_url: 'http://h', models: ['']}]", "want a model's name"},
		{"upstreams: [{name: a, base_url: 'http://h', models: ['m ']}]", "want a model's name"},
		{"upstreams: [{name: a, base_url: 'http://h', models: [{'m ': x}]}]", "want a model's name"},
		{"upstreams: [{name: a, base_url: 'http://h', models: [" + strings.Repeat("m", 257) + "]}]", "at most 256 bytes"},
		{"upstreams: [{name: a, base_url: 'http://h', models: [m], kind: opneai}]", "did you mean openai?"},
		{"upstreams: [{name: a, base_url: 'http://h', models: [m], shared_objects: maybe}]", "want true or false"},
		{"upstreams: [{name: a, base_url: 'http://h', models: [m], weight: 0}]", "from 1 to"},
		{"upstreams: [{name: a, base_url: 'http://h', models: [m], aip_key: k}]", "did you mean api_key?"},
		{"upstreams:\n- {name: a, base_url: 'http://h', models: [m]}\n- {name: a, base_url: 'http://h', models: [m]}", `name "a" is taken`},
		{"admin: {token: '${NOT_SET}'}", "environment variable NOT_SET is not set"},
		{"admin: {token: '${}'}", "${} is not a variable"},
		{"admin: {token: '${A'}", "no closing }"},
		{"listen: 127.0.0.1:1\nlisten: 127.0.0.1:2", "2:1: listen: is set twice"},
		{"admin: &a {token: x}", "anchor"},
		{"<<: {listen: x}", "merge keys"},
		{"listen: 127.0.0.1:1\n---\nlisten: 127.0.0.1:2", "second YAML document"},
		{"---\n---\nlisten: 127.0.0.1:1", "c.yaml:1:1: an empty YAML document"},
		{"listen: 127.0.0.1:1\n--- # two\n---\nnonsense: 1", "2:1: an empty YAML document"},
		{"listen: 127.0.0.1:1\n---\n# no\n\n---\nlisten: 127.0.0.1:2", "2:1: an empty YAML document"},
		{"listen: [", "not YAML"},
		{"a: b: c", "not YAML"},
		{"upstreams: [{name: a, base_url: 'http://h', models: [*]}]", `not YAML: unexpected scalar value type (a * must be quoted: "*")`},
		{"upstreams:\n- name: a\n  base_url: http://h\n  models:\n  - *", `(a * must be quoted: "*")`},
		{"upstreams: [{name: a, base_url: 'http://h', models: [*-mini]}]", "an alias (quote a name that begins with *)"},
	} {
		_, _, err := parse("c.yaml", []byte(tt.yaml), env())
		var problems Problems
		if !errors.As(err, &problems) {
			t.Errorf("%s\n  no problems: %v", tt.yaml, err)
			continue
		}
		if len(problems) != 1 || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\n  got  %s\n  want %s", tt.yaml, err, tt.want)
		}
		if problems[0].Line == 0 {
			t.Errorf("%s: %s: no line", tt.yaml, err)
		}
	}
}

// Of a list, or a mapping, every fault is told, and not the first alone.
func TestEveryFaultOfAList(t *testing.T) {
	for yaml, want := range map[string][]string{
		"pricing: {currency: CNY, exchange: {usd: 7, eur: 8, USD: x}}": {"exchange.usd", "exchange.eur", "exchange.USD"},
		"pricing: {currency: CNY, files: [[a], '', ' ']}":              {"files[0]", "files[1]", "files[2]"},
		"upstreams: [a, b]": {"upstreams[0]", "upstreams[1]"},
		"upstreams: [{name: a, base_url: 'http://h', models: [{' a': x, b: '*'}, ' c']}]": {"models[0]. a", "models[0].b", "models[1]"},
		"policy: {cors_origins: [a, b]}":           {"cors_origins[0]", "cors_origins[1]"},
		"listen: 1\nlisten: 2\nadmin: {listen: 3}": {"2:1: listen", "admin.listen"},
	} {
		_, _, err := parse("c.yaml", []byte(yaml), env())
		if err == nil {
			t.Errorf("%s: no error", yaml)
			continue
		}
		for _, place := range want {
			if !strings.Contains(err.Error(), place) {
				t.Errorf("%s: nothing is said of %s:\n%s", yaml, place, err)
			}
		}
	}
}

// The least and the most that a setting may be are still taken, and what is beyond is told them.
func TestBounds(t *testing.T) {
	const upstream = "upstreams: [{name: a, base_url: 'http://h', models: [m], %s}]"
	for _, tt := range []struct{ yaml, low, high, below, above string }{
		{"ledger: {shards: %s}", "1", "4096", "0", "4097"},
		{"ledger: {hold_ttl: %s}", "1s", "24h", "999ms", "24h1s"},
		{"ledger: {task_ttl: %s}", "1s", "48h", "999ms", "48h1s"},
		{"archive: {url: 'sqlite:a', interval: %s}", "100ms", "1h", "99ms", "1h1s"},
		{"archive: {url: 'sqlite:a', keep: %s}", "0s", "87600h", "-1s", "87601h"},
		{"policy: {drain: %s}", "1ms", "1h", "0s", "1h1s"},
		{"policy: {default_max_output: %s}", "1", "10000000", "0", "10000001"},
		{"policy: {max_body: %s}", "1KiB", "1GiB", "1023", "1073741825"},
		{"policy: {max_kept_answer: %s}", "64KiB", "1GiB", "65535", "1073741825"},
		{fmt.Sprintf(upstream, "priority: %s"), "0", "1000", "-1", "1001"},
		{fmt.Sprintf(upstream, "weight: %s"), "1", "1000000", "0", "1000001"},
		{fmt.Sprintf(upstream, "timeout: %s"), "100ms", "24h", "99ms", "24h1s"},
	} {
		for _, in := range []string{tt.low, tt.high} {
			if _, _, err := parse("c.yaml", []byte(fmt.Sprintf(tt.yaml, in)), env()); err != nil {
				t.Errorf(tt.yaml+": %v", in, err)
			}
		}
		for _, out := range []string{tt.below, tt.above} {
			if _, _, err := parse("c.yaml", []byte(fmt.Sprintf(tt.yaml, out)), env()); err == nil || !strings.Contains(err.Error(), " from ") {
				t.Errorf(tt.yaml+": %v, want what it may be", out, err)
			}
		}
	}
}

func TestUnreadableFile(t *testing.T) {
	for path, want := range map[string]string{
		"/nowhere/tollgate.yaml": "there is no such file",
		t.TempDir():              "is a directory",
	} {
		if _, err := Load(path, env()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load(%s) = %v, want %q", path, err, want)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"listen", "ledger", "models", "priority"}
	for word, want := range map[string]string{
		"listne": "listen", "lsiten": "listen", "ledgr": "ledger", "modles": "models", "model": "models", "prioritty": "priority",
		"banana": "", "x": "", "": "",
	} {
		if got := nearest(word, known); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
