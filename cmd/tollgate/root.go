package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tollgate/tollgate/config"
	"github.com/tollgate/tollgate/ledger"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // it could not be done, or a check did not pass
	exitUsage  = 2 // it was asked for in the wrong way
)

// program is one run of the binary: where it writes, and the flags that every verb has.
type program struct {
	stdout, stderr io.Writer
	getenv         func(string) string

	configPath string
	asJSON     bool
	// running is set when a verb begins: errors before that are usage errors.
	running bool
}

// run is the whole program, so that tests can boot it. Cancelling ctx is what
// the first SIGTERM is to a server.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, getenv func(string) string) int {
	p := &program{stdout: stdout, stderr: stderr, getenv: getenv}
	root := p.root()
	root.SetArgs(guardNegatives(root, args))
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	// A flag that is wrong may stand before --json.
	p.asJSON = p.asJSON || slices.Contains(args, "--json")
	return p.report(err)
}

const rootHelp = `Tollgate is an OpenAI-compatible metering reverse proxy. Clients point their SDK's
base_url at it; each call is checked and paid before and after it is forwarded,
from resource packs and cash balances kept in Redis.

Every verb takes --json: one object (lists: an array), money as decimal strings,
times as RFC 3339. Errors are on stderr, a line each (with --json one object,
{"error":{"code","message"}}). Exit codes: 0 done, 1 failed, 2 wrong usage.

The configuration is the file of -c, or of TOLLGATE_CONFIG. Verbs that need only
the ledger do with its URL in TOLLGATE_REDIS. TOLLGATE_LOG sets the level of the
log (debug, info, warn, error).`

const rootExample = `  tollgate demo                                   everything in one process, to try it out
  tollgate serve -c tollgate.yaml                 the proxy
  tollgate account create acme
  tollgate topup acme 50
  tollgate key create acme --name laptop
  tollgate audit`

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:               "tollgate",
		Short:             "An OpenAI-compatible metering reverse proxy",
		Long:              rootHelp,
		Example:           rootExample,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			if err := noEmptyFlags(c.Flags()); err != nil {
				return err
			}
			p.running = true
			return nil
		},
	}
	asGroup(root)
	root.SetHelpCommand(help())
	root.SetFlagErrorFunc(flagError)
	root.PersistentFlags().StringVarP(&p.configPath, "config", "c", "", "configuration `FILE` (default $TOLLGATE_CONFIG)")
	root.PersistentFlags().BoolVar(&p.asJSON, "json", false, "print JSON")
	root.AddCommand(
		p.demo(), p.serve(), p.mock(), p.check(),
		p.account(), p.topup(), p.refund(), p.adjust(), p.pack(), p.key(), p.hold(),
		p.quote(), p.journal(), p.bill(), p.audit(), p.rebuild(), p.log(), p.reprice(), p.version(),
	)
	return root
}

// asGroup makes a command that has verbs of its own: alone it prints its help,
// and a verb that it does not have is an error.
func asGroup(c *cobra.Command, verbs ...*cobra.Command) *cobra.Command {
	c.AddCommand(verbs...)
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return noVerb(c, args[0])
	}
	c.SuggestionsMinimumDistance = 2
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	return c
}

func noVerb(c *cobra.Command, name string) error {
	text := fmt.Sprintf("there is no verb %q in %s", unguard(name), c.CommandPath())
	if like := c.SuggestionsFor(name); len(like) > 0 {
		return fmt.Errorf("%s: did you mean %s?", text, strings.Join(like, " or "))
	}
	return fmt.Errorf("%s: see %s --help", text, c.CommandPath())
}

// help is in place of cobra's own, which helps with verbs that there are not.
func help() *cobra.Command {
	return &cobra.Command{
		Use:   "help [VERB]",
		Short: "Help about any command",
		Long:  "Print what a verb does. It is what the verb prints with --help.",
		RunE: func(c *cobra.Command, args []string) error {
			verb, rest, err := c.Root().Find(args)
			if err == nil && len(rest) > 0 {
				err = noVerb(verb, rest[0])
			}
			if err != nil {
				return usageError{err}
			}
			verb.InitDefaultHelpFlag()
			return verb.Help()
		},
	}
}

// positional checks the arguments against their names; a name in brackets is optional.
func positional(names ...string) cobra.PositionalArgs {
	needed := 0
	for _, n := range names {
		if !strings.HasPrefix(n, "[") {
			needed++
		}
	}
	return func(c *cobra.Command, args []string) error {
		for i := range args {
			args[i] = unguard(args[i])
		}
		switch {
		case len(names) == 0 && len(args) > 0:
			return fmt.Errorf("%s takes no argument, but got %q: see %s --help", c.CommandPath(), args[0], c.CommandPath())
		case len(args) < needed:
			return fmt.Errorf("%s needs %s: see %s --help", c.CommandPath(), strings.Join(names, " "), c.CommandPath())
		case len(args) > len(names):
			return fmt.Errorf("%s takes %s, but got %q, too: see %s --help", c.CommandPath(), strings.Join(names, " "), args[len(names)], c.CommandPath())
		}
		return checkAccounts(names, args)
	}
}

// checkAccounts refuses what cannot be an account's id.
func checkAccounts(names, args []string) error {
	for i, arg := range args {
		switch strings.Trim(names[i], "[]") {
		case "ACCOUNT", "ID":
			if err := ledger.CheckAccountID(arg); err != nil {
				return err
			}
		}
	}
	return nil
}

// Negative amounts are arguments, not flags: `adjust acme -0.25`. The flag parser
// takes whatever begins with - for flags, so they are hidden from it behind a
// byte that no argument of a process can hold.
const guard = "\x00"

var negative = regexp.MustCompile(`^-(\d|\.\d)`)

func unguard(arg string) string { return strings.TrimPrefix(arg, guard) }

func guardNegatives(root *cobra.Command, args []string) []string {
	switches := map[string]bool{}
	everyFlag(root, func(f *pflag.Flag) {
		if f.NoOptDefVal != "" {
			switches["--"+f.Name] = true
		}
	})
	guarded := slices.Clone(args)
	for i, arg := range args {
		if arg == "--" {
			break
		}
		// What follows a flag is its value, unless the flag is a switch.
		value := i > 0 && strings.HasPrefix(args[i-1], "-") && !negative.MatchString(args[i-1]) &&
			!strings.Contains(args[i-1], "=") && !switches[args[i-1]]
		if negative.MatchString(arg) && !value {
			guarded[i] = guard + arg
		}
	}
	return guarded
}

// noEmptyFlags refuses a flag that is given and empty, or blank, as a script's
// unset variables make it: no reference, and a repeat is booked twice; the same
// blank for all payments, and another of that amount is not booked; no models,
// and a key may use all.
func noEmptyFlags(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		value := strings.TrimSpace(f.Value.String())
		if value == "[]" || value == "" && f.Value.Type() != (amountValue{}).Type() { // an amount of 0 is "", too
			err = emptyFlag(f)
		}
	})
	return err
}

// emptyFlag says what to do: what the help calls needed cannot be left out.
func emptyFlag(f *pflag.Flag) error {
	if what, needed := strings.CutSuffix(f.Usage, "; needed"); needed {
		return fmt.Errorf("--%s is empty: say %s", f.Name, strings.ReplaceAll(what, "`", ""))
	}
	return fmt.Errorf("--%s is empty: give it a value, or leave it out", f.Name)
}

// flagError says of a wrong flag what would be right.
func flagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	if errors.As(err, &unknown) {
		return fmt.Errorf("%w: see %s --help", err, c.CommandPath())
	}
	if !errors.As(err, &invalid) {
		return err
	}
	var number *strconv.NumError
	if cause := invalid.Unwrap(); !errors.As(cause, &number) {
		return fmt.Errorf("--%s: %w", invalid.GetFlag().Name, cause)
	}
	if invalid.GetFlag().Value.Type() == "bool" {
		return fmt.Errorf("--%s: %q is neither true nor false", invalid.GetFlag().Name, number.Num)
	}
	if errors.Is(number, strconv.ErrRange) {
		return fmt.Errorf("--%s: %s is out of range", invalid.GetFlag().Name, number.Num)
	}
	return fmt.Errorf("--%s: %q is not a whole number: want one such as 60", invalid.GetFlag().Name, number.Num)
}

func everyFlag(c *cobra.Command, visit func(*pflag.Flag)) {
	c.Flags().VisitAll(visit)
	c.PersistentFlags().VisitAll(visit)
	for _, child := range c.Commands() {
		everyFlag(child, visit)
	}
}

// usageError is a verb's finding that it was asked for in the wrong way.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// wrongArgument makes what the ledger says of an argument alone wrong usage.
// What it refuses for what is on the books is not.
func wrongArgument(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// errFailed is a failure of which everything was said already.
var errFailed = errors.New("failed")

// report writes the error, if there is one, and returns the exit code.
func (p *program) report(err error) int {
	if err == nil {
		return exitOK
	}
	var usage usageError
	exit := exitFailed
	if !p.running || errors.As(err, &usage) {
		exit = exitUsage
	}
	if errors.Is(err, errFailed) {
		return exit
	}
	if p.asJSON {
		p.reportJSON(err, exit)
		return exit
	}
	fmt.Fprintf(p.stderr, "tollgate: %s\n", oneLine(err))
	return exit
}

// oneLine is what an error says, on one line though it be of several; the
// problems of a configuration have a line each.
func oneLine(err error) string {
	var problems config.Problems
	if errors.As(err, &problems) {
		return err.Error()
	}
	text := ""
	for line := range strings.Lines(err.Error()) {
		switch line = strings.TrimSpace(line); {
		case text == "" || line == "":
		case strings.HasSuffix(text, ":"):
			text += " "
		default:
			text += "; "
		}
		text += line
	}
	return text
}

func (p *program) reportJSON(err error, exit int) {
	var body struct {
		Error struct {
			Code     string           `json:"code"`
			Message  string           `json:"message"`
			Problems []config.Problem `json:"problems,omitempty"`
		} `json:"error"`
	}
	body.Error.Code = errorCode(err, exit)
	body.Error.Message = err.Error()
	var problems config.Problems
	if errors.As(err, &problems) {
		body.Error.Problems = problems
	}
	encoder := json.NewEncoder(p.stderr)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(body) // stderr is gone: the exit code says enough
}

func errorCode(err error, exit int) string {
	var problems config.Problems
	switch {
	case exit == exitUsage:
		return "usage"
	case errors.As(err, &problems), errors.Is(err, config.ErrNone):
		return "config"
	case errors.Is(err, ledger.ErrUnavailable):
		return "unavailable"
	case errors.Is(err, ledger.ErrNotFound):
		return "not_found"
	case errors.Is(err, ledger.ErrConflict):
		return "conflict"
	case errors.Is(err, ledger.ErrInvalid):
		return "invalid"
	}
	return "failed"
}
