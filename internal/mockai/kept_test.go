package mockai

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func ask(t *testing.T, method, url string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// A response is kept, whole or streamed, gone on from, read and deleted.
func TestResponsesAreKept(t *testing.T) {
	_, url := start(t, Options{})
	url += "/v1/responses"
	_, first, _ := post(t, url, `{"model":"gpt-4o","input":"12345678"}`)
	id, used := gjson.Get(first, "id").Str, gjson.Get(first, "usage.total_tokens").Int()
	_, streamed, _ := post(t, url, `{"model":"gpt-4o","input":"1234","stream":true,"previous_response_id":"`+id+`"}`)
	_, last, _ := strings.Cut(streamed, "event: response.completed\ndata: ")
	second := gjson.Get(last, "response")
	if got := second.Get("usage.input_tokens").Int(); got != used+3+3+1 || second.Get("previous_response_id").Str != id {
		t.Errorf("%d tokens in, after %d: %s", got, used, second)
	}
	for _, kept := range []gjson.Result{gjson.Parse(first), second} {
		status, body := ask(t, "GET", url+"/"+kept.Get("id").Str)
		if status != 200 || body != kept.Raw {
			t.Errorf("%d %s, want %s", status, body, kept)
		}
	}
	item := second.Get("output.0.id").Str
	_, third, _ := post(t, url, `{"model":"gpt-4o","input":[{"type":"item_reference","id":"`+item+`"},{"role":"user","content":"1234"}]}`)
	if got, want := gjson.Get(third, "usage.input_tokens").Int(), 3+second.Get("usage.output_tokens").Int()+3+1+3; got != want {
		t.Errorf("%d tokens in, want %d: %s", got, want, third)
	}
	if response, body, _ := post(t, url, `{"model":"gpt-4o","input":[{"type":"item_reference","id":"`+item+`9"}]}`); response.StatusCode != 404 {
		t.Errorf("an item of nobody's: %d %s", response.StatusCode, body)
	}
	_, items := ask(t, "GET", url+"/"+id+"/input_items")
	if got := gjson.Get(items, "data.0.content.0.text").Str; got != "12345678" || gjson.Get(items, "data.0.id").Str != gjson.Get(items, "last_id").Str {
		t.Errorf("items %s", items)
	}
	if status, body := ask(t, "DELETE", url+"/"+id); status != 200 || !gjson.Get(body, "deleted").Bool() {
		t.Errorf("deleted: %d %s", status, body)
	}
	_, unkept, _ := post(t, url, `{"model":"gpt-4o","input":"x","store":false}`)
	for _, gone := range []string{id, gjson.Get(unkept, "id").Str, "resp_0"} {
		response, body, _ := post(t, url, `{"model":"gpt-4o","input":"x","previous_response_id":"`+gone+`"}`)
		if response.StatusCode != 400 || gjson.Get(body, "error.code").Str != "previous_response_not_found" {
			t.Errorf("%s: %d %s", gone, response.StatusCode, body)
		}
		for _, path := range []string{"", "/input_items"} {
			if status, body := ask(t, "GET", url+"/"+gone+path); status != 404 || !strings.Contains(body, gone) {
				t.Errorf("%s: %d %s", gone+path, status, body)
			}
		}
	}
	if status, _ := ask(t, "DELETE", url+"/"+gjson.Get(last, "response.id").Str+"/input_items"); status != 405 {
		t.Errorf("items deleted: %d", status)
	}
}

// A response in the background is queued, in progress as often as its directive says, and then as any other; or it is cancelled.
func TestResponsesInTheBackground(t *testing.T) {
	_, url := start(t, Options{})
	url += "/v1/responses"
	submit := func(directive string) string {
		_, body, _ := post(t, url, `{"model":"gpt-4o","input":"mock:`+directive+`","background":true}`)
		if made := gjson.Parse(body); made.Get("status").Str != "queued" || made.Get("usage").Raw != "null" || !made.Get("background").Bool() {
			t.Errorf("submitted: %s", body)
		}
		return url + "/" + gjson.Get(body, "id").Str
	}
	for directive, want := range map[string]string{"polls=2;usage=10,5": "in_progress in_progress completed completed", "finish=failed": "failed failed"} {
		made := submit(directive)
		var seen []string
		var last string
		for range strings.Fields(want) {
			_, last = ask(t, "GET", made)
			seen = append(seen, gjson.Get(last, "status").Str)
		}
		if got := strings.Join(seen, " "); got != want || directive != "finish=failed" && gjson.Get(last, "usage.total_tokens").Int() != 15 {
			t.Errorf("%s: %s, %s", directive, got, last)
		}
		if status, body := ask(t, "POST", made+"/cancel"); status != 400 {
			t.Errorf("cancelled at its end: %d %s", status, body)
		}
	}
	made := submit("polls=9")
	for _, question := range []string{"POST /cancel", "GET "} {
		method, path, _ := strings.Cut(question, " ")
		if status, body := ask(t, method, made+path); status != 200 || gjson.Get(body, "status").Str != "cancelled" || gjson.Get(body, "usage").Raw != "null" {
			t.Errorf("%s: %d %s", question, status, body)
		}
	}
}

func TestOldThingsAreForgotten(t *testing.T) {
	var s shelf[int]
	for i := range shelfSize + 1 {
		s.put(strconv.Itoa(i), i)
	}
	if _, known := s.get("0"); known || len(s.made) != shelfSize {
		t.Errorf("%d are remembered", len(s.made))
	}
	if last, known := s.get(strconv.Itoa(shelfSize)); !known || last != shelfSize {
		t.Errorf("the last is %d, %t", last, known)
	}
}
