package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/meter"
)

// verbs visits every command of ours.
func verbs(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, child := range c.Commands() {
		if child.Name() != "help" && child.Name() != "completion" {
			verbs(child, visit)
		}
	}
}

func TestEveryVerbIsExplained(t *testing.T) {
	verbs((&program{}).root(), func(c *cobra.Command) {
		path := c.CommandPath()
		if c.Short == "" || c.Args == nil {
			t.Errorf("%s: no Short or no Args", path)
		}
		if !strings.Contains(c.Example, path) {
			t.Errorf("%s: no example of it", path)
		}
		for _, line := range strings.Split(c.Example, "\n") {
			if !strings.HasPrefix(line, "  ") {
				t.Errorf("%s: example line %q is not indented", path, line)
			}
		}
		for _, line := range strings.Split(c.Long, "\n") {
			if len(line) > 300 {
				t.Errorf("%s: a line of %d bytes", path, len(line))
			}
		}
		if c.Flag("json") == nil {
			t.Errorf("%s: no --json", path)
		}
		r := runWith(t, nil, append(strings.Fields(path)[1:], "--help")...)
		if r.exit != exitOK || !strings.Contains(r.stdout, "Examples:") {
			t.Errorf("%s --help: exit %d\n%s", path, r.exit, r.stdout)
		}
	})
}

// help VERB is VERB --help.
func TestHelpIsTheFlag(t *testing.T) {
	for _, verb := range []string{"", "topup", "pack grant", "help"} {
		words := strings.Fields(verb)
		flag, help := runWith(t, nil, append(words, "--help")...), runWith(t, nil, append([]string{"help"}, words...)...)
		if help.exit != exitOK || help.stdout != flag.stdout || help.stderr != "" {
			t.Errorf("help %s: exit %d\n%s%s\nwant\n%s", verb, help.exit, help.stdout, help.stderr, flag.stdout)
		}
	}
}

// The help names what a key may be limited to, all of it.
func TestHelpNamesTheEndpoints(t *testing.T) {
	help := runWith(t, nil, "key", "create", "--help").stdout
	for _, e := range meter.Endpoints() {
		if !strings.Contains(help, e.Name+",") && !strings.Contains(help, e.Name+"\n") {
			t.Errorf("--endpoints does not name %s:\n%s", e.Name, help)
		}
	}
}

// The verbs that the design names are there.
func TestVerbs(t *testing.T) {
	var got []string
	verbs((&program{}).root(), func(c *cobra.Command) {
		if !c.HasSubCommands() {
			got = append(got, strings.TrimPrefix(c.CommandPath(), "tollgate "))
		}
	})
	slices.Sort(got)
	want := []string{
		"account create", "account list", "account resume", "account set", "account show", "account suspend", "adjust", "audit", "bill", "check", "demo", "hold end", "hold list", "journal",
		"key create", "key list", "key revoke", "log replay", "mock", "pack grant", "pack list", "pack revoke", "quote", "rebuild", "refund", "reprice", "serve", "topup", "version",
	}
	if !slices.Equal(got, want) {
		t.Errorf("verbs\n got %q\nwant %q", got, want)
	}
}

// Every example can be typed: its flags and arguments are accepted.
func TestExamplesParse(t *testing.T) {
	verbs((&program{}).root(), func(c *cobra.Command) {
		for _, line := range strings.Split(c.Example, "\n") {
			line, _, _ = strings.Cut(strings.TrimSpace(line), " | ")
			line, _, _ = strings.Cut(line, "   ")
			line, _, _ = strings.Cut(line, " > ")
			words := shellWords(line)
			for len(words) > 0 && strings.Contains(words[0], "=") {
				words = words[1:]
			}
			root := (&program{}).root()
			found, rest, err := root.Find(guardNegatives(root, words[1:]))
			if err == nil {
				err = found.ParseFlags(rest)
			}
			if err == nil {
				err = found.ValidateArgs(found.Flags().Args())
			}
			if err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
	})
}

// shellWords splits at blanks, single quotes kept together.
func shellWords(line string) (words []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}
