package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/admin"
	"github.com/tollgate/tollgate/config"
	"github.com/tollgate/tollgate/internal/mockai"
	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
	"github.com/tollgate/tollgate/prices"
	"github.com/tollgate/tollgate/proxy"
)

func (p *program) demo() *cobra.Command {
	address := ""
	c := &cobra.Command{
		Use:   "demo",
		Short: "Everything in one process, to try it out",
		Long: `Run the proxy with an embedded ledger and a simulated upstream: nothing else is
needed. It makes an account with money, packs and a key, prints lines to paste
and where the console is, and then each request's receipt as it happens. Ctrl-C
ends it; nothing is kept.

With OPENAI_API_KEY set, calls go to OpenAI; TOLLGATE_UPSTREAM is another base
URL to send them to (with OPENAI_API_KEY as its key, if set). With --json each
line is an object: first where it is, then the receipts, at last the summary.`,
		Example: "  tollgate demo\n  OPENAI_API_KEY=sk-… tollgate demo --listen 127.0.0.1:8080",
		Args:    positional(),
		RunE:    func(c *cobra.Command, _ []string) error { return p.runDemo(c.Context(), address) },
	}
	c.Flags().StringVar(&address, "listen", "", "address (default 127.0.0.1:8080, or a free port if that is taken)")
	return c
}

// demoAccount is whom the demo's key belongs to.
const demoAccount = "demo"

func (p *program) runDemo(ctx context.Context, address string) (err error) {
	if address != "" {
		if address, err = listenAddress(address); err != nil {
			return err
		}
	}
	level := p.getenv("TOLLGATE_LOG")
	if level == "" {
		level = "error" // the receipts are the demo's log
	}
	log, err := newLogger(p.stderr, level)
	if err != nil {
		return err
	}
	caught, release := catchSignals(ctx, false)
	defer release()
	ctx = caught.stop

	scene, err := newScene(ctx, p.getenv)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, scene.stop()) }()
	book, err := scene.book()
	if err != nil {
		return err
	}
	cfg := config.Default()
	cfg.Ledger.Redis, cfg.Pricing.Currency = "embedded", book.Currency()
	l, err := openLedger(ctx, cfg, ledger.Options{Logger: log})
	if err != nil {
		return err
	}
	defer l.Close() // it ends here
	secret, err := scene.furnish(ctx, l)
	if err != nil {
		return err
	}
	show, registry := &display{program: p, currency: book.Currency()}, prometheus.NewRegistry()
	px, err := proxy.New(proxy.Options{
		Ledger: l, Book: book, Upstreams: scene.upstreams, Policy: policy(cfg), Logger: log,
		Metrics: proxy.NewMetrics(registry), OnReceipt: show.receipt, OnRefusal: show.refusal,
	})
	if err != nil {
		return err
	}
	s := &service{log: log, proxy: px}
	office := admin.Options{Ready: s.readiness(l), Gatherer: registry, Ledger: l, Token: rand.Text(), Calls: px, Logger: log}
	if err := openDemo(ctx, s, address, office); err != nil {
		return err
	}
	show.intro(scene, s, secret, office.Token)
	stopSweeper := background(context.WithoutCancel(ctx), func(ctx context.Context) { l.RunSweeper(ctx, sweepEvery(cfg.Ledger.HoldTTL)) })
	err = s.run(ctx, caught.cut)
	stopSweeper()
	return errors.Join(err, show.summary(context.WithoutCancel(ctx), l))
}

// usualListener listens at a usual address of this machine, or at a free port if that is taken.
func usualListener(ctx context.Context, address string) (net.Listener, error) {
	var listener net.ListenConfig
	l, err := listener.Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return listener.Listen(ctx, "tcp", "127.0.0.1:0")
	}
	return l, err
}

// openDemo listens for calls, by the address if there is one, and for whoever looks at the console.
func openDemo(ctx context.Context, s *service, address string, office admin.Options) (err error) {
	if s.adminHandler, err = admin.New(office); err != nil {
		return err
	}
	if address != "" {
		s.public, err = listen(ctx, address, "--listen")
	} else {
		s.public, err = usualListener(ctx, "127.0.0.1:8080")
	}
	if err != nil {
		return err
	}
	if s.admin, err = usualListener(ctx, "127.0.0.1:8081"); err != nil {
		return errors.Join(err, s.public.Close())
	}
	return nil
}

// A scene is what the demo plays with: upstreams, their prices and the models
// that the lines to paste name.
type scene struct {
	upstreams               []proxy.Upstream // the first is shown
	tables                  []string
	currency                string
	exchange                map[string]string
	chat, embedding, images string
	message                 string // of Anthropic's API; empty: none
	tokenPack, imagePack    string // model patterns
	simulated               bool
	stop                    func() error // of the simulated upstream
}

func newScene(ctx context.Context, getenv func(string) string) (*scene, error) {
	key, base := getenv("OPENAI_API_KEY"), getenv("TOLLGATE_UPSTREAM")
	if key == "" && base == "" {
		return simulatedScene(ctx)
	}
	if base == "" {
		base = "https://api.openai.com/v1"
	}
	return &scene{
		upstreams: []proxy.Upstream{{Name: "openai", Kind: "openai", BaseURL: base, APIKey: key, Models: []proxy.ModelRule{{Pattern: "*"}}}},
		tables:    []string{"openai.yaml"}, currency: "USD",
		chat: "gpt-4o-mini", embedding: "text-embedding-3-small", images: "dall-e-3",
		tokenPack: "gpt-4o*", imagePack: "dall-e-*",
		stop: func() error { return nil },
	}, nil
}

// simulatedScene runs the simulated upstream on a port of its own.
func simulatedScene(ctx context.Context) (*scene, error) {
	listener, err := listen(ctx, "127.0.0.1:0", "the simulated upstream")
	if err != nil {
		return nil, err
	}
	// It outlives the drain: calls in flight still need their answers.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- serveUpstream(ctx, listener, mockai.New(mockai.Options{})) }()
	address := "http://" + listener.Addr().String()
	base := address + "/v1"
	return &scene{
		upstreams: []proxy.Upstream{
			{Name: "simulated", Kind: "openai", BaseURL: base, Models: []proxy.ModelRule{{Pattern: "*"}}},
			{Name: "simulated-claude", Kind: "anthropic", BaseURL: base, Models: []proxy.ModelRule{{Pattern: "claude-*"}}},
			{Name: "simulated-gemini", Kind: "gemini", BaseURL: address + "/v1beta", Models: []proxy.ModelRule{{Pattern: "gemini-*"}}},
			{Name: "simulated-bigmodel", Kind: "bigmodel", BaseURL: base, Models: []proxy.ModelRule{{Pattern: "cogvideox-*"}, {Pattern: "search_*"}}},
		},
		tables: []string{"anthropic.yaml", "bigmodel.yaml", "gemini.yaml", "openai.yaml"}, currency: "CNY", exchange: map[string]string{"USD": "7.1"},
		chat: "glm-4.5", embedding: "embedding-3", images: "cogview-4", message: "claude-haiku-4-5",
		tokenPack: "glm-4*", imagePack: "cogview-*", simulated: true,
		stop: func() error { cancel(); return <-ended },
	}, nil
}

func (s *scene) book() (*meter.Book, error) {
	var files []meter.PriceFile
	for _, name := range s.tables {
		file, err := prices.Read(name)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return meter.NewBook(meter.BookOptions{Currency: s.currency, Exchange: s.exchange, Files: files})
}

// What the demo's account is given: enough tokens for a few calls, so that the
// pack runs out while one looks on, and the wallets take over.
const (
	demoRecharge = 50 * meter.NanoPerUnit
	demoBonus    = 50 * meter.NanoPerUnit
	demoTokens   = 100
	demoImages   = 2
)

// furnish makes the account and returns its key's secret.
func (s *scene) furnish(ctx context.Context, l *ledger.Ledger) (secret string, err error) {
	if _, err = l.CreateAccount(ctx, demoAccount, ledger.AccountOptions{}); err != nil {
		return "", err
	}
	for _, t := range []ledger.Topup{
		{Account: demoAccount, Amount: demoRecharge, Wallet: ledger.Recharge},
		{Account: demoAccount, Amount: demoBonus, Wallet: ledger.Bonus},
	} {
		if _, err = l.TopUp(ctx, t); err != nil {
			return "", err
		}
	}
	for _, g := range []ledger.Grant{
		{Account: demoAccount, Unit: "token", Models: []string{s.tokenPack}, Quantity: demoTokens},
		{Account: demoAccount, Unit: "image", Models: []string{s.imagePack}, Quantity: demoImages},
	} {
		if _, err = l.GrantPack(ctx, g); err != nil {
			return "", err
		}
	}
	_, secret, err = l.CreateKey(ctx, demoAccount, ledger.NewKey{Name: "demo"})
	return secret, err
}

// display is what the demo shows as it happens.
type display struct {
	*program
	currency string

	mu                sync.Mutex
	requests, refused int64
	total             meter.Nano
}

func (d *display) receipt(r *ledger.Receipt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.requests++
	d.total += r.FeeDue()
	d.line(r, receiptLine(r, d.currency))
}

func (d *display) refusal(r proxy.Refused) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.requests++
	d.refused++
	event := map[string]any{"type": "refused", "request_id": r.RequestID, "model": r.Model, "status": r.Status, "code": r.Code, "message": r.Message}
	d.line(event, fmt.Sprintf("          refused     %-24s %d %s: %s", orDash(r.Model), r.Status, r.Code, r.Message))
}

// line prints one event: an object on a line of its own, or text.
func (d *display) line(event any, text string) {
	if d.asJSON {
		_ = writeLine(d.stdout, event) // the terminal is gone: the demo goes on
		return
	}
	fmt.Fprintln(d.stdout, text)
}

// summary ends the show: what was asked, what it cost, and that the books balance.
func (d *display) summary(ctx context.Context, l *ledger.Ledger) error {
	report, err := l.Audit(ctx, "")
	if err != nil {
		return err
	}
	verdict := "the books balance"
	if !report.OK {
		verdict = "THE BOOKS DO NOT BALANCE"
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.line(map[string]any{"type": "summary", "requests": d.requests, "refused": d.refused, "fee": d.total, "currency": d.currency, "audit": report},
		fmt.Sprintf("\n%s, %d refused, %s charged in cash; %s (%s)",
			plural(d.requests, "request"), d.refused, money(d.total, d.currency), verdict, plural(report.Entries, "journal entry")))
	if !report.OK {
		return errFailed
	}
	return nil
}

// intro says where it is and what to paste.
func (d *display) intro(s *scene, at *service, secret, token string) {
	address := at.public.Addr().String()
	base, console := "http://"+reachable(address)+"/v1", "http://"+at.admin.Addr().String()+"/console/"
	lines := s.curlLines(base, secret)
	if d.asJSON {
		d.line(map[string]any{"type": "demo", "base_url": base, "key": secret, "upstream": s.upstreams[0].BaseURL, "simulated": s.simulated, "console": console, "admin_token": token, "curl": lines}, "")
		return
	}
	upstream := "simulated, in this process"
	if !s.simulated {
		upstream = s.upstreams[0].BaseURL + " (real: calls cost real money there)"
	}
	fmt.Fprintf(d.stdout, "Tollgate demo. The ledger is in memory: it is gone when this ends.\n\n%s\n", facts(
		"base_url", base, "key", secret, "upstream", upstream,
		"account", fmt.Sprintf("%s, with %s recharge and %s bonus", demoAccount, money(demoRecharge, s.currency), money(demoBonus, s.currency)),
		"packs", fmt.Sprintf("%d tokens for %s, %d images for %s", demoTokens, s.tokenPack, demoImages, s.imagePack),
		"console", console+": sign in with the key, or as the operator with "+token,
	))
	for _, l := range lines {
		fmt.Fprintf(d.stdout, "# %s\n%s\n\n", l.What, l.Line)
	}
	fmt.Fprintf(d.stdout, "listening on http://%s\nreceipts as they happen; Ctrl-C ends it\n\n", address)
}

// curlLine is one line to paste into a shell.
type curlLine struct {
	What string `json:"what"`
	Line string `json:"line"`
}

func (s *scene) curlLines(base, secret string) []curlLine {
	line := func(flags, path, body string) string {
		return strings.Join([]string{"curl", flags, base + path, "-H 'Authorization: Bearer " + secret + "'", "-H 'Content-Type: application/json'", "-d '" + body + "'"}, " ")
	}
	chat := `{"model":"` + s.chat + `","messages":[{"role":"user","content":"Say hello in five languages."}],"max_tokens":200%s}`
	lines := []curlLine{
		{"chat (-i shows what it cost in the x-tollgate-… headers)", line("-si", "/chat/completions", fmt.Sprintf(chat, ""))},
		{"a stream", line("-sN", "/chat/completions", fmt.Sprintf(chat, `,"stream":true`))},
		{"an embedding", line("-si", "/embeddings", `{"model":"`+s.embedding+`","input":"Prepaid is paid before.","dimensions":256}`)},
		{"an image", line("-si", "/images/generations", `{"model":"`+s.images+`","prompt":"A toll gate at dawn","size":"1024x1024"}`)},
		{"what is left", "curl -s " + base + "/credits -H 'Authorization: Bearer " + secret + "'"},
	}
	if s.message == "" {
		return lines
	}
	message := `{"model":"` + s.message + `","messages":[{"role":"user","content":"Say hello."}],"max_tokens":200}`
	return slices.Insert(lines, 2, curlLine{"a message of Anthropic's API", line("-si", "/messages", message)})
}
