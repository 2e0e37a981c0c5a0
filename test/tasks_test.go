package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

const taskPrices = bigModelPrices + `  - {models: [cogvideox-3], endpoints: [videos], rates: {video: 1}}
  - {models: [viduq1-text], endpoints: [videos], when: {size: 1920x1080}, rates: {video: 2.5}}
  - {models: [viduq1-text], endpoints: [videos], when: {size: 1280x720}, rates: {video: 1.25}}
`

const (
	videoPath = "/api/paas/v4/videos/generations"
	pollPath  = "/api/paas/v4/async-result/"
)

// makesTasks is bigModel with prices of videos.
func makesTasks(t *testing.T, more string, change ...func(*settings)) (w *world, p *process, key string) {
	t.Helper()
	return bigModel(t, more, append([]func(*settings){func(s *settings) { s.prices = taskPrices }}, change...)...)
}

func video(directives string) string {
	return `{"model":"cogvideox-3","prompt":"mock:` + directives + ` A cat plays.","size":"1920x1080","with_audio":true}`
}

// submit makes a task and returns its id, and the call's.
func (p *process) submit(path, key, body string) (task, request string) {
	p.t.Helper()
	r := p.post(path, key, body)
	r.requireStatus(p.t, 200)
	if r.get("task_status").String() != "PROCESSING" || r.header.Get("x-tollgate-hold") == "" || r.header.Get("x-tollgate-cost") != "" {
		p.t.Errorf("submitted: %s, headers %v", r.body, r.header)
	}
	return r.get("id").String(), r.header.Get("x-request-id")
}

// A video is held for when it is submitted, and charged once when it is told that it is there, by the terms of its submission.
func TestVideoTask(t *testing.T) {
	w, p, key := makesTasks(t, "")
	began := time.Now().Truncate(time.Millisecond)
	id, request := p.submit(videoPath, key, video("polls=2"))
	submitted := time.Now()
	shown := w.verb("account", "show", "acme")
	equal(t, "held", shown.Get("held").String(), "1")
	held := w.verb("hold", "list", "acme").Get("0")
	equal(t, "task", held.Get("task").String(), id)
	equal(t, "if nobody asks", held.Get("delivered").String(), "1")
	equal(t, "parallel", p.get("/v1/key", key).get("use.parallel").Int(), 0)
	for range 2 {
		r := p.get(pollPath+id, key)
		r.requireStatus(t, 200)
		equal(t, "status", r.get("task_status").String(), "PROCESSING")
		requireHeaders(t, r.header, "x-tollgate-cost", "0", "x-tollgate-balance-recharge", "9")
	}
	equal(t, "charged", len(w.entries("acme", "charge")), 0)
	for _, prefix := range []string{pollPath, "/v1/async-result/", pollPath} {
		r := p.get(prefix+id, key)
		r.requireStatus(t, 200)
		equal(t, "results", r.get("video_result.#").Int(), 1)
		requireHeaders(t, r.header, "x-tollgate-cost", "1", "x-tollgate-usage-total", "1", "x-tollgate-usage-source", "derived",
			"x-tollgate-paid-recharge", "1", "x-tollgate-balance-recharge", "9")
	}
	charge := w.onlyCharge("acme")
	for field, want := range map[string]string{
		"request_id": request, "model": "cogvideox-3", "endpoint": "videos", "fee": "1", "hold": "1", "attributes.size": "1920x1080", "attributes.with_audio": "true",
	} {
		equal(t, field, charge.Get(field).String(), want)
	}
	if at := charge.Get("at").Time(); at.Before(began) || at.After(submitted) {
		t.Errorf("at %s, and it was submitted from %s to %s", at, began, submitted)
	}
	equal(t, "receipt", p.get("/v1/receipts/"+request, key).get("fee").String(), "1")
	metrics := p.metrics()
	for _, want := range []string{`outcome="task"} 1`, `outcome="task_running"} 2`, `outcome="charged"} 1`, `outcome="task_told_again"} 2`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s among the metrics", want)
		}
	}
}

// A chat that is asked for later is billed by its usage, images by what came; packs pay that fitted when they were submitted.
func TestChatAndImageTasks(t *testing.T) {
	w, p, key := makesTasks(t, "")
	w.verb("pack", "grant", "acme", "--quantity", "100000", "--models", "glm-4.6")
	id, _ := p.submit("/v1/async/chat/completions", key, strings.Replace(chat("glm-4.6", "usage=1000,500;cached=200;polls=1"), `"stream":false,`, "", 1))
	equal(t, "status", p.get(pollPath+id, key).get("task_status").String(), "PROCESSING")
	r := p.send(http.MethodGet, pollPath+id, key, "", "x-tollgate-receipt", "body")
	requireHeaders(t, r.header, "x-tollgate-cost", "0", "x-tollgate-paid-pack", "1500", "x-tollgate-usage-input", "1000", "x-tollgate-usage-output", "500")
	equal(t, "in the body", r.get("usage.cost").String(), "0")
	equal(t, "endpoint", w.onlyCharge("acme").Get("endpoint").String(), "chat")

	id, _ = p.submit("/v1/async/images/generations", key, `{"model":"cogview-4","prompt":"A cat."}`)
	requireHeaders(t, p.get(pollPath+id, key).header, "x-tollgate-cost", "0.06", "x-tollgate-usage-total", "1")
	w.requireSettled("acme")
	refused := p.post("/v1/async/chat/completions", key, chat("glm-4.6", "usage=1,1", streamed))
	equal(t, "streamed", refused.get("error.param").String(), "stream")
}

// Money for two tasks lets two in, however many are submitted at once.
func TestNoMoreTasksThanMoney(t *testing.T) {
	w, p, key := makesTasks(t, "")
	w.verb("adjust", "acme", "-8", "--reason", "leaves two")
	var ids []string
	var mu sync.Mutex
	var wait sync.WaitGroup
	for range 10 {
		wait.Go(func() {
			r := p.send(http.MethodPost, videoPath, key, video("polls=0"))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case r.status == 200:
				ids = append(ids, r.get("id").String())
			case r.get("error.code").String() != "in_flight_quota_exhausted":
				t.Errorf("refused: %d %s", r.status, r.body)
			}
		})
	}
	wait.Wait()
	equal(t, "let in", len(ids), 2)
	equal(t, "reached the upstream", w.up.Stats().ByRoute["videos/generations"], int64(2))
	for _, id := range ids {
		p.get(pollPath+id, key).requireStatus(t, 200)
	}
	equal(t, "balance", w.requireSettled("acme").Get("wallets.recharge.balance").String(), "0")
	equal(t, "then", p.post(videoPath, key, video("polls=0")).get("error.code").String(), "insufficient_quota")
}

// What another account has made does not exist, and the upstream is not asked; nor for what nobody has made.
func TestTasksAreTheirAccounts(t *testing.T) {
	w, p, key := makesTasks(t, "")
	w.account("other", "10")
	others, _ := w.key("other")
	second, _ := w.key("acme", "--models", "glm-*")
	id, _ := p.submit(videoPath, key, video("polls=0"))
	asked := w.up.Stats().ByRoute["async-result"]
	for _, c := range []struct{ key, id string }{{others, id}, {key, id + "0"}, {others, "x"}, {key, "%2e%2e"}, {key, strings.Repeat("x", 300)}, {key, "a%20b"}} {
		r := p.get(pollPath+c.id, c.key)
		r.requireStatus(t, 404)
		if c.id == "%2e%2e" {
			continue // no route at all
		}
		equal(t, c.id, r.get("error.code").String(), "object_not_found")
		requireHeaders(t, r.header, "x-should-retry", "false", "x-tollgate-cost", "0")
	}
	one, another := p.get(pollPath+id, others).body, p.get(pollPath+id+"0", others).body
	equal(t, "the same words", another, one)
	equal(t, "a stranger", p.get(pollPath+id, "tg-acme-"+strings.Repeat("x", 40)).status, 401)
	equal(t, "no key", p.get(pollPath+id, "").status, 401)
	equal(t, "method", p.post(pollPath+id, key, "{}").status, 405)
	equal(t, "asked the upstream", w.up.Stats().ByRoute["async-result"], asked)
	requireHeaders(t, p.get(pollPath+id, second).header, "x-tollgate-cost", "1") // any key of the account
	w.onlyCharge("acme")
	w.requireNoCharge("other")
}

// Where an upstream's objects are everybody's, what nobody here has made is asked for there; what another has made is not.
func TestTasksOfSharedUpstreams(t *testing.T) {
	w, p, key := makesTasks(t, ", shared_objects: true")
	w.account("other", "10")
	others, _ := w.key("other")
	id, _ := p.submit(videoPath, key, video("polls=0"))
	equal(t, "another's", p.get(pollPath+id, others).status, 404)
	foreign := w.makeElsewhere(video("polls=0"))
	for range 2 {
		r := p.get(pollPath+foreign, others)
		r.requireStatus(t, 200)
		equal(t, "results", r.get("video_result.#").Int(), 1)
		requireHeaders(t, r.header, "x-tollgate-cost", "0")
	}
	asked := w.up.Stats().Requests
	for _, stranger := range []string{"tg-other-" + strings.Repeat("x", 40), ""} {
		p.get(pollPath+foreign, stranger).requireStatus(t, 401)
	}
	equal(t, "asked for strangers", w.up.Stats().Requests, asked)
	equal(t, "unknown there, too", p.get(pollPath+"nobodys", others).get("error.code").String(), "1214")
	w.requireNoCharge("other")
	p.get(pollPath+id, key)
	w.onlyCharge("acme")
}

// makeElsewhere makes a task past Tollgate.
func (w *world) makeElsewhere(body string) (id string) {
	w.t.Helper()
	p := &process{t: w.t, url: w.up.url}
	return p.post(videoPath, upstreamKey, body).get("id").String()
}

// A task that fails costs nothing, and so does one of which the upstream only tells errors.
func TestTaskFails(t *testing.T) {
	w, p, key := makesTasks(t, "")
	id, request := p.submit(videoPath, key, video("task=fail;polls=1"))
	p.get(pollPath+id, key)
	if err := w.up.SetFault("status=500", 1); err != nil {
		t.Fatal(err)
	}
	r := p.get(pollPath+id, key)
	r.requireStatus(t, 500)
	requireHeaders(t, r.header, "x-tollgate-cost", "0")
	equal(t, "held", w.verb("account", "show", "acme").Get("held").String(), "1")
	for range 2 {
		r = p.get(pollPath+id, key)
		r.requireStatus(t, 200)
		equal(t, "status", r.get("task_status").String(), "FAIL")
		requireHeaders(t, r.header, "x-tollgate-cost", "0", "x-tollgate-balance-recharge", "10")
	}
	equal(t, "receipt", p.get("/v1/receipts/"+request, key).status, 404)
	refused := p.post(videoPath, key, video("status=400"))
	refused.requireStatus(t, 400)
	w.requireNoCharge("acme")
}

// A task that nobody asks for is charged as made, when its time is over; who then asks after all is told the truth, and
// what has failed is given back.
func TestTaskThatNobodyAsksFor(t *testing.T) {
	for _, c := range []struct{ directive, policy, swept, asked string }{
		{"polls=0", "checkpoint", "9", "9"},
		{"task=fail", "checkpoint", "9", "10"},
		{"polls=0", "release", "10", "9"},
	} {
		t.Run(c.directive+", "+c.policy, func(t *testing.T) {
			w, p, key := makesTasks(t, "", func(s *settings) { s.ledger, s.policy = "hold_ttl: 1s\n  task_ttl: 2s", "on_abandoned: "+c.policy })
			id, request := p.submit(videoPath, key, video(c.directive))
			eventually(t, "it is swept", func() bool { return w.verb("account", "show", "acme").Get("held").String() == "0" })
			equal(t, "balance", w.balance("acme"), c.swept)
			if c.swept == "9" {
				equal(t, "type", w.entries("acme", "abandon")[0].Get("request_id").String(), request)
			}
			for range 2 {
				p.get(pollPath+id, key).requireStatus(t, 200)
			}
			equal(t, "balance", w.requireSettled("acme").Get("wallets.recharge.balance").String(), c.asked)
		})
	}
}

// Many ask at once, two proxies: it is charged once, and all are told the same.
func TestTaskIsAskedForByMany(t *testing.T) {
	w, p, key := makesTasks(t, "")
	second := w.serve()
	id, _ := p.submit(videoPath, key, video("polls=0"))
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			r := []*process{p, second}[i%2].send(http.MethodGet, pollPath+id, key, "")
			if r.status != 200 || r.header.Get("x-tollgate-cost") != "1" || r.header.Get("x-tollgate-balance-recharge") != "9" {
				t.Errorf("told %d, %v", r.status, r.header)
			}
		})
	}
	wait.Wait()
	equal(t, "fee", w.onlyCharge("acme").Get("fee").String(), "1")
}

// A proxy is killed between submission and end: the task outlives it.
func TestTaskOutlivesProxies(t *testing.T) {
	w, p, key := makesTasks(t, "", func(s *settings) { s.ledger = "hold_ttl: 1s" })
	id, _ := p.submit(videoPath, key, video("polls=0"))
	p.kill()
	p = w.serve()
	time.Sleep(2500 * time.Millisecond) // in which a call's own hold would be swept
	equal(t, "held", w.verb("account", "show", "acme").Get("held").String(), "1")
	requireHeaders(t, p.get(pollPath+id, key).header, "x-tollgate-cost", "1")
	p.kill()
	p = w.serve()
	requireHeaders(t, p.get(pollPath+id, key).header, "x-tollgate-cost", "1")
	equal(t, "balance", w.balance("acme"), "9")
	w.onlyCharge("acme")
}

// Redis away when a task is submitted, and when it is told that it has ended.
func TestTasksWhileRedisIsAway(t *testing.T) {
	w, p, key := makesTasks(t, "", func(s *settings) { s.ledger = "durability: strict" })
	w.redis.Client().ConfigSet(t.Context(), "appendfsync", "always")
	id, _ := p.submit(videoPath, key, video("polls=0"))
	reached, release := w.up.stallBefore(0)
	answers := make(chan reply, 1)
	go func() { answers <- p.send(http.MethodGet, pollPath+id, key, "") }()
	<-reached
	w.redis.Stop()
	release()
	r := <-answers
	r.requireStatus(t, 200)
	requireHeaders(t, r.header, "x-tollgate-pending", "true", "x-tollgate-cost", "1")
	equal(t, "results", r.get("video_result.#").Int(), 1)
	equal(t, "asked again", p.get(pollPath+id, key).status, 503)
	w.redis.Start()
	eventually(t, "it is booked", func() bool { return len(w.entries("acme", "charge")) == 1 })
	eventually(t, "it is told again", func() bool { return p.get(pollPath+id, key).status == 200 })
	w.onlyCharge("acme")

	reached, release = w.up.stallBefore(0)
	go func() { answers <- p.send(http.MethodPost, videoPath, key, video("polls=0")) }()
	<-reached
	w.redis.Stop()
	release()
	r = <-answers
	r.requireStatus(t, 200)
	w.redis.Start()
	id = r.get("id").String()
	eventually(t, "it is known", func() bool {
		again := p.get(pollPath+id, key)
		if again.status != 200 && again.status != 503 {
			t.Errorf("meanwhile: %d %s", again.status, again.body)
		}
		return again.status == 200
	})
	equal(t, "balance", w.requireSettled("acme").Get("wallets.recharge.balance").String(), "8")
}

// A failure is told when its hold has come back: who has been told does not ask again, and the sweeper would charge it as made.
func TestTaskFailsWhileRedisIsAway(t *testing.T) {
	w, p, key := makesTasks(t, "")
	w.redis.Client().ConfigSet(t.Context(), "appendfsync", "always")
	id, _ := p.submit(videoPath, key, video("task=fail"))
	reached, release := w.up.stallBefore(0)
	answers := make(chan reply, 1)
	go func() { answers <- p.send(http.MethodGet, pollPath+id, key, "") }()
	<-reached
	w.redis.Stop()
	release()
	refusal{status: 503, code: "metering_unavailable"}.require(t, <-answers)
	w.redis.Start()
	eventually(t, "it is told", func() bool { return p.get(pollPath+id, key).get("task_status").String() == "FAIL" })
	w.requireNoCharge("acme")
}

// Prices change while a task is made: it costs what it was to cost, also to who is told again.
func TestTaskKeepsItsPrice(t *testing.T) {
	w, p, key := makesTasks(t, "")
	id, _ := p.submit(videoPath, key, video("polls=0"))
	gone, _ := p.submit(videoPath, key, strings.Replace(video("polls=0"), "cogvideox-3", "viduq1-text", 1))
	w.write("prices.yaml", strings.NewReplacer("video: 1}", "video: 3}", "  - {models: [viduq1-text]", "  - {models: [other]").Replace(taskPrices))
	p.reloads()
	for range 2 {
		requireHeaders(t, p.get(pollPath+id, key).header, "x-tollgate-cost", "1")
		requireHeaders(t, p.get(pollPath+gone, key).header, "x-tollgate-cost", "2.5")
	}
	equal(t, "balance", w.balance("acme"), "6.5")
	chatID, _ := p.submit("/v1/async/chat/completions", key, strings.Replace(chat("glm-4.6", "usage=1000,100"), `"stream":false,`, "", 1))
	requireHeaders(t, p.get(pollPath+chatID, key).header, "x-tollgate-cost", "0.0028")
	w.write("prices.yaml", strings.Replace(taskPrices, "input: 2/1M, output: 8/1M", "input: 20/1M, output: 80/1M", 1))
	p.reloads()
	requireHeaders(t, p.get(pollPath+chatID, key).header, "x-tollgate-cost", "0.0028", "x-tollgate-balance-recharge", "6.4972") // the first receipt's
	w.requireSettled("acme")
}

// Nor does it matter that nobody knows yet what it will use: a row that is edited, or gone, when its end is told
// was not its price.
func TestTaskIsPricedAsItsCallWas(t *testing.T) {
	for name, now := range map[string]string{
		"edited": strings.Replace(taskPrices, "input: 2/1M, output: 8/1M", "input: 20/1M, output: 80/1M", 1),
		"gone":   strings.Replace(taskPrices, "models: [glm-4.6", "models: [other", 1),
	} {
		w, p, key := makesTasks(t, "")
		id, request := p.submit("/v1/async/chat/completions", key, strings.Replace(chat("glm-4.6", "usage=1000,100"), `"stream":false,`, "", 1))
		quoted := p.post("/v1/quote", key, chat("glm-4.6", ""))
		w.write("prices.yaml", now)
		p.reloads()
		told := p.get(pollPath+id, key)
		equal(t, name+": cost", told.header.Get("x-tollgate-cost"), "0.0028")
		receipt := p.get("/v1/receipts/"+request, key)
		equal(t, name+": price version", receipt.get("price_version").String(), quoted.get("price_version").String())
		equal(t, name+": balance", w.requireSettled("acme").Get("wallets.recharge.balance").String(), "9.9972")
	}
}

// reloads has the configuration read again.
func (p *process) reloads() {
	p.t.Helper()
	said := len(p.stderr.String())
	p.signal(syscall.SIGHUP)
	eventually(p.t, "it is in force", func() bool { return strings.Contains(p.stderr.String()[said:], `"reloaded"`) })
}

// Of the upstreams the one is asked that has the task, and none if that is gone.
func TestTaskIsAskedForWhereItIs(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.prices = taskPrices })
	other := startUpstream(t, w.made.mock)
	item := func(name, url, priority string) string {
		return fmt.Sprintf("  - {name: %s, kind: bigmodel, base_url: \"%s/api/paas/v4\", api_key: %q, models: [{cogvideox-3: theirs}], priority: %s}\n", name, url, upstreamKey, priority)
	}
	w.made.upstreams = item("first", other.url, "1") + item("second", w.up.url, "2")
	w.writeConfig()
	w.account("acme", "10")
	key, _ := w.key("acme")
	p := w.serve()
	if err := other.SetFault("status=503", 1); err != nil {
		t.Fatal(err)
	}
	id, _ := p.submit(videoPath, key, video("polls=1"))
	equal(t, "asked for", gjson.GetBytes(w.up.Requests()[0].Body, "model").String(), "theirs")
	equal(t, "status", p.get(pollPath+id, key).get("task_status").String(), "PROCESSING")
	equal(t, "asked of the first", other.Stats().ByRoute["async-result"], int64(0))
	w.made.upstreams = item("first", other.url, "1")
	w.writeConfig()
	p.reloads()
	gone := p.get(pollPath+id, key)
	equal(t, "gone", gone.get("error.code").String(), "upstream_unavailable")
	w.made.upstreams = item("second", w.up.url, "2")
	w.writeConfig()
	p.reloads()
	requireHeaders(t, p.get(pollPath+id, key).header, "x-tollgate-cost", "1")
	w.onlyCharge("acme")
}

// Redis loses all that it had: the archive has no holds, and the log of the proxy brings its tasks back.
func TestTaskAfterARebuild(t *testing.T) {
	w, p, key := makesTasks(t, "", func(s *settings) { s.archive = "interval: 1h" })
	made, _ := p.submit(videoPath, key, video("polls=0"))
	ended, _ := p.submit(videoPath, key, video("polls=0"))
	requireHeaders(t, p.get(pollPath+ended, key).header, "x-tollgate-cost", "1")
	w.redis.Kill()
	if err := os.RemoveAll(filepath.Join(w.redis.Dir(), "appendonlydir")); err != nil {
		t.Fatal(err)
	}
	w.redis.Start()
	equal(t, "meanwhile", p.get(pollPath+made, key).status, 503)
	w.verb("rebuild")
	for _, id := range []string{ended, made, made} {
		eventually(t, "the task is known", func() bool {
			r := p.get(pollPath+id, key)
			if r.status == 200 {
				requireHeaders(t, r.header, "x-tollgate-cost", "1")
			}
			return r.status == 200
		})
	}
	equal(t, "charges", len(w.entries("acme", "charge")), 2)
	equal(t, "balance", w.requireSettled("acme").Get("wallets.recharge.balance").String(), "8")
}
