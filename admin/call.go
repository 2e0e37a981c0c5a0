package admin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

const (
	// maxBody bounds what an operator sends: a key with its lists is a few KiB.
	maxBody = 1 << 20
	// lookEvery is how often a walk through a journal looks whether somebody still waits for it.
	lookEvery = 250 * time.Millisecond
)

// call is one request of an operator.
type call struct {
	*http.Request
	w     http.ResponseWriter
	given map[string]string // by the URL's query
}

func (c *call) account() string { return c.PathValue("account") }

// attended is the request's context while its client waits: whoever reloads a
// page, or gives up, must not leave a walk through the whole journal behind.
func (c *call) attended() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(c.Context())
	server, asks := c.w.(interface{ ClientGone() bool })
	if !asks {
		return ctx, cancel // net/http's ends the context itself
	}
	go func() {
		look := time.NewTicker(lookEvery)
		defer look.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-look.C:
				if server.ClientGone() {
					cancel()
					return
				}
			}
		}
	}()
	return ctx, cancel
}

// invalid is an error of what was sent, which says what would be right.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ledger.ErrInvalid, fmt.Errorf(format, args...))
}

var errTooLarge = fmt.Errorf("the body is larger than %d bytes", maxBody)

// read decodes the body, a JSON object, into what into points at. No body is an empty
// object. Unknown and repeated names are refused: a misspelt limit must not make a key
// without it.
func (c *call) read(into any) error {
	body, err := io.ReadAll(http.MaxBytesReader(c.w, c.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return errTooLarge
	case err != nil:
		return invalid("the body broke off: %w", err)
	case len(bytes.TrimSpace(body)) == 0:
		body = []byte("{}")
	}
	if !utf8.Valid(body) {
		return invalid("the body is not UTF-8")
	}
	if err := strictly(body, into); err != nil {
		return invalid("the body: %w", plain(err))
	}
	value := gjson.ParseBytes(body)
	if !value.IsObject() {
		return invalid("the body: want a JSON object, not %s", value.Raw)
	}
	if slip := slipIn(value); slip != "" {
		return invalid("the body: %s", slip)
	}
	return nil
}

// strictly reads one value, all of whose names it must know.
func strictly(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		if field, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
			return fmt.Errorf("unknown field %s: want %s", field, namesIn(reflect.TypeOf(into).Elem()))
		}
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("want one JSON object, and nothing behind it")
	}
	return nil
}

// namesIn are the names that a body, or an object within one, may have.
func namesIn(object reflect.Type) string {
	var names []string
	for _, field := range reflect.VisibleFields(object) {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return cmp.Or(strings.Join(names, ", "), "none")
}

// plain says what is wrong with JSON in terms of JSON, not of Go.
func plain(err error) error {
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field == "":
		return fmt.Errorf("want a JSON object, not %s", article(wrong.Value))
	case errors.As(err, &wrong):
		field := strings.ReplaceAll(wrong.Field, "KeyLimits.", "") // Go's name for what is embedded in keyLimits
		return fmt.Errorf("%s: want %s, not %s", field, kindOf(wrong.Type), article(wrong.Value))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it is not JSON: it ends too early")
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}

// article puts one before what Go calls a value: array, bool, number, number 1.5, object, string.
func article(value string) string {
	if value == "array" || value == "object" {
		return "an " + value
	}
	return "a " + value
}

func kindOf(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[meter.Nano]():
		return `an amount as a decimal string, such as "10" or "0.25"`
	case t.Kind() == reflect.Int64:
		return "a whole number"
	case t.Kind() == reflect.Slice:
		return "a list of strings"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Struct:
		return "an object"
	}
	return "a string"
}

// mayBeEmpty are the texts that may say nothing. Any other that is empty is a variable that was not set: without the ref that
// was meant a topup is booked at each repeat, without the expires_at a key never ends.
func mayBeEmpty(name string) bool { return name == "name" || name == "reason" }

// slipIn finds what Go's decoder ignores in an object, or in one within it: names in
// another case, and names given twice.
func slipIn(value gjson.Result) (slip string) {
	var names []string
	value.ForEach(func(key, member gjson.Result) bool {
		if name := key.String(); value.IsObject() {
			switch {
			case strings.ContainsFunc(name, func(c rune) bool { return c != '_' && (c < 'a' || c > 'z') }):
				slip = fmt.Sprintf("unknown field %q: names are in lower case", name)
			case slices.Contains(names, name):
				slip = name + " is given twice: want one value for it"
			case member.Type == gjson.Null:
				slip = name + " is null: give it a value, or leave it out"
			case member.Type == gjson.String && member.Str == "" && !mayBeEmpty(name):
				slip = name + " is empty: give it a value, or leave it out"
			case strings.ContainsRune(member.Str, utf8.RuneError):
				slip = name + " has half a character (\\ud83d, or U+FFFD for one): want whole ones, or two refs might be one"
			}
			names = append(names, name)
		}
		if slip == "" && (member.IsObject() || member.IsArray()) {
			slip = slipIn(member)
		}
		return slip == ""
	})
	return slip
}

// query is what the URL's query gives under these names. Another name is refused, and so is one without a value.
func (c *call) query(names []string) (map[string]string, error) {
	given := make(map[string]string)
	values, err := url.ParseQuery(c.URL.RawQuery)
	if err != nil {
		return nil, invalid("the query: %w", err)
	}
	for name, list := range values {
		switch {
		case len(names) == 0:
			return nil, invalid("the query: there is no %q: this takes no query", name)
		case !slices.Contains(names, name):
			return nil, invalid("the query: there is no %q: want %s", name, strings.Join(names, ", "))
		case len(list) > 1:
			return nil, invalid("the query: %s is given twice: want one value, or several with commas", name)
		case list[0] == "":
			return nil, invalid("the query: %s is empty: give it a value, or leave it out", name)
		}
		given[name] = list[0]
	}
	return given, nil
}

// idempotencyKey is the request's Idempotency-Key, "" without one.
func (c *call) idempotencyKey() (string, error) {
	switch given := c.Header.Values("Idempotency-Key"); {
	case len(given) == 0:
		return "", nil
	case len(given) > 1:
		return "", invalid("Idempotency-Key is given twice: want one")
	case given[0] == "":
		return "", invalid("Idempotency-Key is empty: give it a value, such as a UUID, or leave it out")
	default:
		if err := ledger.CheckRef(given[0]); err != nil {
			return "", fmt.Errorf("Idempotency-Key: %w", err)
		}
		return given[0], nil
	}
}

// readBooking reads the body of what is booked once under a reference, the ref in it: if it names none, that is the Idempotency-Key.
func (c *call) readBooking(into any, ref *string) error {
	if err := c.read(into); err != nil {
		return err
	}
	key, err := c.idempotencyKey()
	switch {
	case err != nil || key == "" || key == *ref:
		return err
	case *ref != "":
		return invalid("ref and Idempotency-Key differ, and either makes a repeat book once: want one of them")
	}
	*ref = key
	return nil
}

// limit is how many the query asks for at most; 0 without a limit.
func (c *call) limit(of string) (int, error) {
	text := c.given["limit"]
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n == 0 {
		return 0, invalid("limit %q: want a number of %s, or leave it out for all", text, of)
	}
	return n, nil
}

// moment reads a time that was given as text; zero for none.
func moment(name, text string, zone *time.Location, parse func(string, *time.Location) (time.Time, error)) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := parse(text, zone)
	if err != nil {
		return t, invalid("%s: %w", name, err)
	}
	return t, nil
}

// expiry reads when what is made now ends: a date is in it whole. Nil: never.
func (a *api) expiry(text string) (*time.Time, error) {
	t, err := moment("expires_at", text, a.ledger.Timezone(), func(s string, zone *time.Location) (time.Time, error) {
		return meter.ParseExpiry(s, zone, time.Now())
	})
	if err != nil || t.IsZero() {
		return nil, err
	}
	return &t, nil
}
