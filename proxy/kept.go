package proxy

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// Some answers are kept upstream, under credentials that many accounts share. Each is the
// account's alone whose call made it, and so is every item of it: the ledger remembers that with the charge. The
// account may go on from them by a later call, and read or delete an answer.

// keptMemory is what is remembered of a kept answer, or an item of one: "<tokens> <upstream>".
type keptMemory struct {
	// tokens are what a call that goes on from it reads of it, at most.
	tokens   int64
	upstream string
}

func (m keptMemory) String() string { return strconv.FormatInt(m.tokens, 10) + " " + m.upstream }

func parseKept(text string) (m keptMemory, err error) {
	tokens, upstream, _ := strings.Cut(text, " ")
	m.upstream = upstream
	m.tokens, err = strconv.ParseInt(tokens, 10, 64)
	return m, err
}

// made is the answer, and its items, as the account may name them later, if it is kept. One that broke off is
// nobody's, nor is one that says that it goes on: the upstream may come to an end that is not on the books.
func (c *call) made(usage *meter.Usage) []ledger.Object {
	if !c.whole || !c.request.Kept() {
		return nil
	}
	if _, state := c.tap.task(); state == meter.TaskRunning {
		return nil
	}
	id, parts := c.tap.objects()
	if id == "" {
		return nil
	}
	said := usage.Quantities.TotalOutput() + usage.Quantities[meter.Unsplit]
	all := usage.Quantities.TotalInput() + said // who goes on from it reads the conversation
	if usage.Source == meter.Estimated {
		all = max(all, c.request.Ceiling.TotalInput()+said)
	}
	made := append(make([]ledger.Object, 0, 1+len(parts)), ledger.Object{ID: id, Memory: keptMemory{all, c.upstream.Name}.String()})
	for _, part := range parts {
		made = append(made, ledger.Object{ID: part, Memory: keptMemory{said, c.upstream.Name}.String()})
	}
	return made
}

// goOn finds what the request goes on from. If that is not all the account's, the request still
// refers to an object that is not known here, see goOnElsewhere.
func (c *call) goOn() error {
	ids := c.request.Named()
	if len(ids) == 0 || slices.ContainsFunc(ids, func(id string) bool { return !ledger.ValidObjectID(id) }) {
		return nil
	}
	memories, err := c.remembered(ids)
	if err != nil {
		if errors.Is(err, ledger.ErrNotFound) {
			return c.goOnElsewhere()
		}
		return err
	}
	var tokens int64
	for _, memory := range memories {
		kept, err := parseKept(memory)
		switch {
		case err != nil:
			return err
		case c.keptBy != "" && c.keptBy != kept.upstream:
			return errKeptApart()
		}
		tokens += kept.tokens
		c.keptBy = kept.upstream
	}
	c.request.GoOn(tokens)
	return nil
}

// goOnElsewhere lets a request refer to what nobody has made here, for upstreams whose objects are anybody's. It is refused
// if that is somebody's response in the background: what is in that is paid for when its end is told.
func (c *call) goOnElsewhere() error {
	previous := c.request.Previous()
	if previous == "" || !c.anyShared() {
		return nil
	}
	somebodys, err := c.isSomebodysTask(previous)
	if err == nil && somebodys {
		err = errStored(c.request.Stored())
	}
	return err
}

// remembered is what is known of kept answers and items: if it is not all known here, the ledger is asked for the rest.
func (c *call) remembered(ids []string) ([]string, error) {
	account, kept := c.credential.Account, &c.proxy.kept
	memories := make([]string, len(ids))
	var rest []string
	for i, id := range ids {
		if memories[i] = kept.get(account, id); memories[i] == "" {
			rest = append(rest, id)
		}
	}
	if len(rest) == 0 {
		return memories, nil
	}
	ctx, cancel := c.briefly()
	defer cancel()
	found, err := c.proxy.ledger.FindObjects(ctx, c.credential, clientAddr(c.r), rest)
	for i, memory := range found {
		if memory != "" { // though another is nowhere
			kept.put(account, rest[i], memory)
			memories[slices.Index(ids, rest[i])] = memory
		}
	}
	return memories, err
}

// serveKept is the path of a question about a kept answer: it is found among the account's, and the
// upstream that has it is asked. That costs nothing: the answer was paid for when it was made. One that was
// made in the background is a task, and is paid for when its end is first told.
func (p *Proxy) serveKept(route meter.KeptRoute) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := p.question(w, r, meter.KeptAnswers())
		defer c.endQuestion()
		id := r.PathValue("id")
		found, err := c.findObject(id)
		switch {
		case errors.Is(err, ledger.ErrNotFound) && c.mayBeForeign(id):
			if c.askShared() {
				c.passAlong(nil, nil)
			}
		case err != nil:
			c.trouble = err
			c.refuse(c.notFound(err, "response"))
		case found.RequestID != "":
			c.tellTask(found, route.Tells)
		default:
			c.askKeeper(found)
		}
	}
}

// askKeeper asks the upstream that has the answer, and passes on what it says.
func (c *call) askKeeper(found *ledger.FoundObject) {
	keeper, err := c.keeperOf(found)
	if err != nil {
		c.trouble = err
		c.refuse(c.asAPIError(err))
		return
	}
	if c.ask(keeper) {
		c.passAlong(&found.Standing, nil)
	}
}

// keeperOf is the upstream that has an answer of the account's.
func (c *call) keeperOf(found *ledger.FoundObject) (candidate, error) {
	kept, err := parseKept(found.Memory)
	if err != nil {
		return candidate{}, err
	}
	u := c.routing.byName(kept.upstream)
	if u == nil {
		return candidate{}, errUpstreamAway("the one that has this response is not among those of this gateway any more")
	}
	return candidate{upstream: u}, nil
}

// keptObjects are those that have passed through this process: who goes on from one of them needs no
// question to the ledger. An id is its account's for good, so that what is here stays true.
type keptObjects struct {
	mu         sync.Mutex
	young, old map[string]string
}

// keptLimit is how many of each generation are remembered, some 200 bytes each.
const keptLimit = 20_000

func (k *keptObjects) put(account, id, memory string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.young == nil || len(k.young) >= keptLimit {
		k.young, k.old = make(map[string]string), k.young
	}
	k.young[account+" "+id] = memory
}

// get is what is remembered of an object; "" of one that is not known here.
func (k *keptObjects) get(account, id string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return cmp.Or(k.young[account+" "+id], k.old[account+" "+id])
}
