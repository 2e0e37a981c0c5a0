package ledger

import (
	"context"
	"crypto/sha1" //nolint:gosec // Redis names scripts by SHA-1
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// The Lua under lua/ becomes one library of functions, which a server compiles
// once. It is loaded, and opened, when a server has been verified, and never
// otherwise: lua/library.lua says why a server that has come up anew is closed.
//
// The embedded ledger knows no functions: there each script is a text by itself.

//go:embed lua/*.lua
var luaFiles embed.FS

// libraryPrefix begins the name of every version of the library.
const libraryPrefix = "tollgate_"

// sharedParts are what the scripts are built on, in this order.
var sharedParts = []string{"lib", "numbers", "trip", "account", "lines", "pay", "hold", "use", "charge", "turn", "ref"} //nolint:gochecknoglobals // it is a constant

// A script is one Lua file under lua/, as it is called.
type script struct {
	name     string
	function string // its name in the library; "" for a script that goes by its SHA-1
	source   string
	sha      string
	// of is what it is a function of; nil for a script that goes by its SHA-1.
	of *scripts
	// brief scripts are a call's own, see buildScriptsFrom: one try takes no longer than tryTimeout, and no
	// recovery is waited for. They travel in convoys, but for the solo ones. Others that a client waits for,
	// such as receipt, are not brief.
	brief bool
	// solo scripts are brief and have more keys than a trip has for each call: they travel alone.
	solo bool
	// full scripts run also while Redis is full.
	full bool
}

// scripts holds all of them.
type scripts struct {
	reserve, settle, release, extend, sweep, due, receipt, authenticate *script
	snapshot, create, status, topup, grant, revoke, createKey           *script
	revokeKey, refund, reprice, adjust, set, expire, park, object       *script

	// watermark is the archiver's.
	watermark *script
	// recover and putback write nothing but what the archive has. A recovery
	// loads them, as scripts, on a server that is still closed.
	recover, putback *script

	all []*script // but those two

	// library is the text of the library, name its name; both are "" in the embedded ledger.
	library, name string
}

// buildScripts puts the scripts together.
func buildScripts(embedded bool) (*scripts, error) {
	return buildScriptsFrom(luaFiles.ReadFile, embedded)
}

// buildScriptsFrom takes the files from read, which a test may have patched.
func buildScriptsFrom(read func(name string) ([]byte, error), embedded bool) (*scripts, error) {
	b := &scriptBuilder{read: read, embedded: embedded}
	s := &scripts{
		reserve: b.script("reserve"), settle: b.script("settle"), release: b.script("release"), extend: b.script("extend"),
		sweep: b.script("sweep"), due: b.script("due"), receipt: b.script("receipt"), authenticate: b.script("authenticate"),
		snapshot: b.script("snapshot"), create: b.script("create"), status: b.script("status"), topup: b.script("topup"),
		grant: b.script("grant"), revoke: b.script("revoke"), createKey: b.script("key_create"), revokeKey: b.script("key_revoke"),
		refund: b.script("refund"), reprice: b.script("reprice"), adjust: b.script("adjust"), set: b.script("set"), expire: b.script("expire"),
		park: b.script("park"), object: b.script("object"),
		watermark: b.script("watermark"),
		recover:   b.alone("recover"), putback: b.alone("putback"),
	}
	s.all = b.all
	for _, brief := range []*script{s.reserve, s.settle, s.release, s.extend, s.park, s.object} {
		brief.brief = true
	}
	s.park.solo, s.object.solo = true, true
	if !embedded {
		b.bind(s)
	}
	return s, errors.Join(b.failures...)
}

// A scriptBuilder reads the Lua files and puts them together.
type scriptBuilder struct {
	read     func(name string) ([]byte, error)
	embedded bool
	all      []*script
	bodies   []body
	failures []error
}

// body is a file without its first line, and the flags that stand there.
type body struct{ flags, text string }

func (b *scriptBuilder) file(name string) string {
	text, err := b.read("lua/" + name + ".lua")
	if err != nil {
		b.failures = append(b.failures, err)
	}
	return string(text)
}

// body reads a file that begins "#!lua" or "#!lua flags=a,b".
func (b *scriptBuilder) body(name string) body {
	first, rest, _ := strings.Cut(b.file(name), "\n")
	flags, isLua := strings.CutPrefix(first, "#!lua")
	if !isLua {
		b.failures = append(b.failures, fmt.Errorf("lua/%s.lua does not begin with #!lua", name))
	}
	return body{strings.TrimPrefix(flags, " flags="), rest}
}

func (b *scriptBuilder) parts() string {
	var text strings.Builder
	for _, part := range sharedParts {
		text.WriteString(b.file(part))
	}
	return text.String()
}

// script is one of the library's functions, or in the embedded ledger a text of its own.
func (b *scriptBuilder) script(name string) *script {
	s, body := &script{name: name}, b.body(name)
	s.full = strings.Contains(body.flags, "allow-oom")
	b.all, b.bodies = append(b.all, s), append(b.bodies, body)
	if b.embedded {
		s.set("", b.parts(), "local main = (function()\n"+body.text+"end)()\nwake()\nreturn alone(main, keys, argv)\n")
	}
	return s
}

// alone is a script that goes by its SHA-1 and looks at the shard by itself.
func (b *scriptBuilder) alone(name string) *script {
	s, body, shebang := &script{name: name}, b.body(name), ""
	if !b.embedded { // which does not know it, and has no cluster to protect
		shebang = "#!lua flags=" + body.flags + "\n"
	}
	// In a function of its own: Lua has room for 200 locals in each, and the shared parts take most of it.
	s.set(shebang, b.parts(), "wake()\nset_out()\nbegin(keys, 0, argv)\nreturn (function()\n"+body.text+"end)()\n")
	return s
}

// set makes the text. KEYS and ARGV have other names inside.
func (s *script) set(shebang, parts, body string) {
	s.source = shebang + "local keys, argv = KEYS, ARGV\n" + parts + body
	sum := sha1.Sum([]byte(s.source)) //nolint:gosec // as above
	s.sha = hex.EncodeToString(sum[:])
}

// bind makes the library. Its name, and those of its functions, have a digest
// of its text: versions of this program do not meet in it.
func (b *scriptBuilder) bind(s *scripts) {
	parts := b.parts() + b.file("library")
	sum := sha1.New() //nolint:gosec // as above
	_, _ = sum.Write([]byte(parts))
	for _, body := range b.bodies {
		_, _ = sum.Write([]byte(body.flags + "\n" + body.text))
	}
	s.name = libraryPrefix + hex.EncodeToString(sum.Sum(nil)[:6])

	var text strings.Builder
	text.WriteString("#!lua name=" + s.name + "\n" + parts)
	for i, one := range b.all {
		one.of, one.function = s, s.name+"_"+one.name
		flags := ""
		if b.bodies[i].flags != "" {
			flags = "'" + strings.ReplaceAll(b.bodies[i].flags, ",", "', '") + "'"
		}
		fmt.Fprintf(&text, "script('%s', '%s', {%s}, (function()\n%send)())\n", one.function, one.name, flags, b.bodies[i].text)
	}
	fmt.Fprintf(&text, "trip('%s', {})\ntrip('%s', {'allow-oom'})\n", s.toTravel(false), s.toTravel(true))
	fmt.Fprintf(&text, "gate('%s', '%s', '%s', {'%s'})\n", s.toOpen(), s.toAsk(), s.toTry(), strings.Join(commandsIn(text.String()), "', '"))
	s.library = text.String()
}

var luaCall = regexp.MustCompile(`\bcall\('([A-Z]+)'`)

// commandsIn lists the commands that Lua gives to Redis.
func commandsIn(text string) (names []string) {
	for _, found := range luaCall.FindAllStringSubmatch(text, -1) {
		names = append(names, found[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (s *scripts) toOpen() string { return s.name + "_open" }
func (s *scripts) toAsk() string  { return s.name + "_is_open" }
func (s *scripts) toTry() string  { return s.name + "_takes_calls" }

// toTravel is the function that takes several calls at once; full: also while Redis is full.
func (s *scripts) toTravel(full bool) string {
	if full {
		return s.name + "_trip_when_full"
	}
	return s.name + "_trip"
}

// command is a call of the script.
func (s *script) command(ctx context.Context, keys []string, args []any) *redis.Cmd {
	if s.function != "" {
		return commandOf(ctx, "fcall", s.function, keys, args)
	}
	return commandOf(ctx, "evalsha", s.sha, keys, args)
}

func commandOf(ctx context.Context, verb, name string, keys []string, args []any) *redis.Cmd {
	list := make([]any, 0, 3+len(keys)+len(args))
	list = texts(append(list, verb, name, len(keys)), keys...)
	command := redis.NewCmd(ctx, append(list, args...)...)
	command.SetFirstKeyPos(3) // which says what node of a cluster it goes to
	return command
}

// isNoScript reports whether a server answered that it lacks a script, or that it is closed.
func isNoScript(err error) bool {
	return err != nil && (redis.HasErrorPrefix(err, "NOSCRIPT") || redis.HasErrorPrefix(err, "Function not found"))
}

// newEnough is what to do about a Redis that cannot keep a ledger.
const newEnough = "use 7.0 or newer, which has libraries of functions"

// areOpen reports whether a ledger's scripts can be called on a server.
func (s *scripts) areOpen(ctx context.Context, c redis.Cmdable, ledger string) (bool, error) {
	open, err := s.state(ctx, c, ledger)
	return open == libraryOpen, err
}

type libraryState int

const (
	libraryMissing libraryState = iota
	libraryClosed
	libraryOpen
)

func (s *scripts) state(ctx context.Context, c redis.Cmdable, ledger string) (libraryState, error) {
	if s.library == "" {
		there, err := c.ScriptExists(ctx, s.shas()...).Result()
		if err != nil || slices.Contains(there, false) {
			return libraryMissing, err
		}
		return libraryOpen, nil
	}
	open, err := c.FCall(ctx, s.toAsk(), nil, ledger).Int()
	switch {
	case isNoScript(err):
		return libraryMissing, nil
	case err != nil && redis.HasErrorPrefix(err, "unknown command"):
		return libraryMissing, errors.New("this Redis is too old: " + newEnough)
	case err != nil:
		return libraryMissing, err
	case open == 0:
		return libraryClosed, nil
	}
	return libraryOpen, nil
}

func (s *scripts) shas() []string {
	shas := make([]string, len(s.all))
	for i := range s.all {
		shas[i] = s.all[i].sha
	}
	return shas
}

// open queues what lets everybody call a ledger's scripts on a server whose
// library was found in this state. A library that is there is only opened: a server
// whose memory is full would not take it anew.
func (s *scripts) open(ctx context.Context, p redis.Pipeliner, found libraryState, ledger string) {
	if s.library == "" {
		for _, one := range s.all {
			p.ScriptLoad(ctx, one.source)
		}
		return
	}
	if found == libraryMissing {
		p.FunctionLoadReplace(ctx, s.library)
	}
	p.FCall(ctx, s.toOpen(), nil, ledger)
}

// close takes the scripts of every version of this program from a server.
func (s *scripts) close(ctx context.Context, c redis.Cmdable) error {
	list, err := c.FunctionList(ctx, redis.FunctionListQuery{LibraryNamePattern: libraryPrefix + "*"}).Result()
	if err != nil {
		return err
	}
	for _, library := range list {
		if err := c.FunctionDelete(ctx, library.Name).Err(); err != nil && !redis.HasErrorPrefix(err, "Library not found") {
			return err
		}
	}
	return nil
}
