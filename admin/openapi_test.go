package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tollgate/tollgate/internal/redistest"
	"github.com/tollgate/tollgate/ledger"
)

// specification is openapi.yaml, to hold answers against.
type specification struct {
	document map[string]any
	mu       sync.Mutex // the compiler compiles one at a time
	compiler *jsonschema.Compiler
}

func readSpecification(t *testing.T) *specification {
	t.Helper()
	text, err := yaml.YAMLToJSON(description)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("openapi.json", document); err != nil {
		t.Fatal(err)
	}
	return &specification{document: document.(map[string]any), compiler: c}
}

// at follows a pointer, and the references on its way. It returns where that led to, too.
func (s *specification) at(t *testing.T, pointer string) (any, string) {
	t.Helper()
	var value any = s.document
	walked := ""
	for name := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		value, walked = value.(map[string]any)[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)], walked+"/"+name
		members, _ := value.(map[string]any)
		if to, is := members["$ref"].(string); is {
			return s.at(t, strings.TrimPrefix(to, "#")+strings.TrimPrefix(pointer, walked))
		}
	}
	return value, walked
}

func (s *specification) check(t *testing.T, schema string, value []byte) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	compiled, err := s.compiler.Compile("openapi.json#" + schema)
	if err != nil {
		t.Fatal(err)
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err != nil {
		t.Fatalf("%v in %s", err, value)
	}
	if err := compiled.Validate(instance); err != nil {
		t.Errorf("%s\nis not what is described: %v", value, err)
	}
}

// pathOf is the described path that a request's is of.
func (s *specification) pathOf(t *testing.T, path string) string {
	t.Helper()
	paths, _ := s.at(t, "/paths")
	for described := range paths.(map[string]any) {
		mux := http.NewServeMux()
		mux.Handle(described, http.NotFoundHandler())
		if _, pattern := mux.Handler(httptest.NewRequest(http.MethodGet, path, nil)); pattern == described {
			return described
		}
	}
	return ""
}

// query are the names that an operation's query may have. Parameters of a path are those of its operations.
func (s *specification) query(t *testing.T, path, method string) (names []string) {
	pointer := "/paths/" + strings.ReplaceAll(path, "/", "~1")
	for _, of := range []string{pointer, pointer + "/" + strings.ToLower(method)} {
		item, _ := s.at(t, of)
		list, _ := item.(map[string]any)["parameters"].([]any)
		for _, parameter := range list {
			if p := parameter.(map[string]any); p["in"] == "query" {
				names = append(names, p["name"].(string))
			}
		}
	}
	return names
}

// operator is who uses the API, and holds every answer against the description.
type operator struct {
	*testing.T
	spec   *specification
	server *httptest.Server
	ledger *ledger.Ledger
	redis  *redistest.Server
	header http.Header
}

const token = "d2a84f4b8b650937ec8f73cd8be2c74a"

func newOperator(t *testing.T, options ...redistest.Option) *operator {
	t.Helper()
	redis := redistest.Start(t, options...)
	url := redis.URL()
	l, err := ledger.Open(t.Context(), ledger.Options{URL: url, Currency: "CNY", Shards: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return operatorOf(t, redis, l)
}

func operatorOf(t *testing.T, redis *redistest.Server, l *ledger.Ledger) *operator {
	t.Helper()
	h, err := New(Options{Ready: ready, Gatherer: prometheus.NewRegistry(), Token: token, Ledger: l})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return &operator{T: t, spec: readSpecification(t), server: server, ledger: l, redis: redis, header: http.Header{}}
}

// got is an answer.
type got struct {
	status int
	header http.Header
	body   []byte
}

// send sends a body as it is, "" for none.
func (o *operator) send(method, path, body string) got {
	o.Helper()
	r, err := http.NewRequestWithContext(o.Context(), method, o.server.URL+prefix+path, strings.NewReader(body))
	if err != nil {
		o.Fatal(err)
	}
	for name, values := range o.header {
		r.Header[name] = values
	}
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := o.server.Client().Do(r)
	if err != nil {
		o.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		o.Fatal(err)
	}
	o.described(r, response, body, text)
	return got{response.StatusCode, response.Header, text}
}

// described holds an exchange against the description: the answer always, what was sent where it was taken.
func (o *operator) described(r *http.Request, response *http.Response, sent string, text []byte) {
	o.Helper()
	if response.Header.Get("Cache-Control") != "no-store" { // there are secrets in answers
		o.Errorf("%s %s: headers %v", r.Method, r.URL.Path, response.Header)
	}
	path := o.spec.pathOf(o.T, r.URL.Path)
	if path == "" || response.StatusCode == http.StatusMethodNotAllowed {
		o.spec.check(o.T, "/components/schemas/Error", text)
		return
	}
	operation := "/paths/" + strings.ReplaceAll(path, "/", "~1") + "/" + strings.ToLower(r.Method)
	for header, status := range map[string]string{"X-Tollgate-Archived": "200", "Retry-After": "default"} {
		if there := response.Header.Get(header); there != "" {
			_, where := o.spec.at(o.T, operation+"/responses/"+status+"/headers/"+header+"/schema")
			o.spec.check(o.T, where, []byte(there))
		}
	}
	if response.StatusCode != http.StatusOK {
		_, where := o.spec.at(o.T, operation+"/responses/default/content/application~1json/schema")
		o.spec.check(o.T, where, text)
		return
	}
	if sent != "" {
		_, where := o.spec.at(o.T, operation+"/requestBody/content/application~1json/schema")
		o.spec.check(o.T, where, []byte(sent))
	}
	if response.Header.Get("Content-Type") == "application/json" {
		_, where := o.spec.at(o.T, operation+"/responses/200/content/application~1json/schema")
		o.spec.check(o.T, where, text)
	}
}

// do expects it to be done.
func (o *operator) do(method, path, body string) got {
	o.Helper()
	g := o.send(method, path, body)
	if g.status != http.StatusOK {
		o.Fatalf("%s %s %s: %d %s", method, path, body, g.status, g.body)
	}
	return g
}

// refused expects an error with a code, whose message has these words.
func (o *operator) refused(method, path, body string, status int, code, words string) {
	o.Helper()
	g := o.send(method, path, body)
	var e struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal(g.body, &e); err != nil || g.status != status || e.Error.Code != code || !strings.Contains(e.Error.Message, words) {
		o.Errorf("%s %s %.200s: %d %s, want %d %s with %q", method, path, body, g.status, g.body, status, code, words)
	}
}

func decode[T any](o *operator, g got) (v T) {
	o.Helper()
	if err := json.Unmarshal(g.body, &v); err != nil {
		o.Fatalf("%v in %s", err, g.body)
	}
	return v
}

// What is described is what there is: each operation, and no other.
func TestDescriptionHasAllOperations(t *testing.T) {
	spec := readSpecification(t)
	var described, there []string
	for path, item := range spec.document["paths"].(map[string]any) {
		for method, operation := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			described = append(described, strings.ToUpper(method)+" "+path)
			if members := operation.(map[string]any); members["operationId"] == nil || members["summary"] == nil {
				t.Errorf("%s %s lacks operationId or summary", method, path)
			}
		}
	}
	for _, o := range (&api{}).operations() {
		if query := spec.query(t, prefix+o.path, o.method); !slices.Equal(query, o.query) {
			t.Errorf("%s %s: query %q, described %q", o.method, o.path, o.query, query)
		}
		there = append(there, o.method+" "+prefix+o.path)
	}
	slices.Sort(described)
	slices.Sort(there)
	if fmt.Sprint(described) != fmt.Sprint(there) {
		t.Errorf("described %q\nthere is  %q", described, there)
	}
}

// Every member that an answer may have is described, also those that no test here sees.
func TestDescriptionHasAllMembers(t *testing.T) {
	spec := readSpecification(t)
	for pointer, v := range map[string]any{
		"/components/schemas/Account": ledger.Account{}, "/components/schemas/Pack": ledger.Pack{}, "/components/schemas/Key": ledger.Key{},
		"/components/schemas/Key/properties/use": ledger.KeyUse{}, "/components/schemas/KeyLimits": ledger.KeyLimits{},
		"/components/schemas/Entry": ledger.Entry{}, "/components/schemas/Entry/properties/lines/items": ledger.ChargeLine{},
		"/components/schemas/Payment": ledger.Payment{}, "/components/schemas/Hold": ledger.OpenHold{},
		"/components/schemas/Bill": ledger.Bill{}, "/components/schemas/Bill/properties/lines/items": ledger.BillLine{},
		"/components/schemas/Audit": ledger.AuditReport{}, "/components/schemas/Audit/properties/differences/items": ledger.Difference{},
		"/components/schemas/Audit/properties/conservation/items": ledger.Conserved{},
	} {
		var there []string
		for _, field := range reflect.VisibleFields(reflect.TypeOf(v)) {
			if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" && name != "-" {
				there = append(there, name)
			}
		}
		schema, _ := spec.at(t, pointer)
		described := slices.Sorted(maps.Keys(schema.(map[string]any)["properties"].(map[string]any)))
		if slices.Sort(there); !slices.Equal(there, described) {
			t.Errorf("%s\ndescribed %q\nthere is  %q", pointer, described, there)
		}
	}
	endpoints, _ := spec.at(t, "/components/schemas/KeyLimits/properties/endpoints/description")
	if want := strings.Join(ledger.EndpointNames(), ", "); endpoints != want {
		t.Errorf("endpoints %q, want %q", endpoints, want)
	}
	types, _ := spec.at(t, "/components/schemas/Entry/properties/type/enum")
	if want := fmt.Sprint(ledger.EntryTypes()); fmt.Sprint(types) != want {
		t.Errorf("types %v, want %s", types, want)
	}
}
