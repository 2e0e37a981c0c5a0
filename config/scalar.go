package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/shopspring/decimal"

	"github.com/tollgate/tollgate/ledger"
)

// The functions of this file read one kind of value each. Their errors say
// what was found and what would be right.

func text(s string) (string, error) { return s, nil }

// header is a secret that goes into a header, so that errors do not repeat it. A
// line end comes along from a file, say, and no header can have it, nor a blank at its end.
func header(s string) (string, error) {
	scheme, _, isPair := strings.Cut(s, " ")
	switch {
	case strings.ContainsFunc(s, unicode.IsControl):
		return "", errors.New("has a line end or another control character in it: want the secret alone")
	case strings.TrimSpace(s) != s:
		return "", errors.New("has a blank before or behind it: want the secret alone")
	case isPair && strings.EqualFold(scheme, "Bearer"):
		return "", errors.New("begins with Bearer, which is put before it anyway: want the secret alone")
	}
	return s, nil
}

func boolean(s string) (bool, error) {
	switch s {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q: want true or false", s)
}

// whole reads an integer from low to high.
func whole[T int | int64](low, high T) func(string) (T, error) {
	return func(s string) (T, error) {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || T(n) < low || T(n) > high {
			return 0, fmt.Errorf("%q: want a whole number from %d to %d", s, low, high)
		}
		return T(n), nil
	}
}

// oneOf reads a word of a list.
func oneOf(words ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		if slices.Contains(words, s) {
			return s, nil
		}
		if guess := nearest(s, words); guess != "" {
			return "", fmt.Errorf("%q: did you mean %s? (one of %s)", s, guess, strings.Join(words, ", "))
		}
		return "", fmt.Errorf("%q: want one of %s", s, strings.Join(words, ", "))
	}
}

// duration reads a Go duration from low to high.
func duration(low, high time.Duration) func(string) (time.Duration, error) {
	return func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if err != nil {
			return 0, fmt.Errorf("%q: want a duration with its unit, such as 500ms, 45s, 15m or 1h30m", s)
		}
		if d < low || d > high {
			return 0, fmt.Errorf("%q: want a duration from %s to %s", s, brief(low), brief(high))
		}
		return d, nil
	}
}

// brief is the duration without zero parts: "15m", not "15m0s".
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

var sizeUnits = map[string]int64{
	"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
}

// size reads a number of bytes.
func size(low, high int64) func(string) (int64, error) {
	return func(s string) (int64, error) {
		digits := strings.TrimRight(s, "BKMGi ")
		unit, ok := sizeUnits[strings.TrimSpace(s[len(digits):])]
		n, err := strconv.ParseInt(digits, 10, 64)
		if !ok || err != nil || n < 0 {
			return 0, fmt.Errorf("%q: want a size, such as 64MiB, 512KiB or a number of bytes", s)
		}
		if n > math.MaxInt64/unit || n*unit < low || n*unit > high {
			return 0, fmt.Errorf("%q: want a size from %d to %d bytes", s, low, high)
		}
		return n * unit, nil
	}
}

// Address reads HOST:PORT. A bare :PORT is the loopback: to be open to a
// network is something to ask for in so many words, as 0.0.0.0:PORT.
func Address(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if _, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil {
		return "", fmt.Errorf("%q: want HOST:PORT, such as 127.0.0.1:8080, or 0.0.0.0:8080 for every network", s)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

func timezone(s string) (*time.Location, error) {
	location, err := time.LoadLocation(s)
	if err != nil || s == "" || s == "Local" {
		return nil, fmt.Errorf("%q: want a time zone by its name, such as UTC, Asia/Shanghai or Europe/Berlin", s)
	}
	return location, nil
}

var currencyForm = regexp.MustCompile(`^[A-Z][A-Z0-9]{2,9}$`)

func currency(s string) (string, error) {
	if !currencyForm.MatchString(s) {
		return "", fmt.Errorf("%q: want a currency in capitals, such as CNY or USD", s)
	}
	return s, nil
}

// rate reads an exchange rate: a positive decimal, kept as it is written.
func rate(s string) (string, error) {
	bad := fmt.Errorf("%q: want the price of one unit in the ledger's currency, such as 7.1", s)
	if s == "" || len(s) > 40 || strings.Trim(s, "0123456789.") != "" {
		return "", bad
	}
	if d, err := decimal.NewFromString(s); err != nil || !d.IsPositive() {
		return "", bad
	}
	return s, nil
}

// redisURL is the ledger's to judge.
func redisURL(s string) (string, error) {
	if s == embedded {
		return s, nil
	}
	if err := ledger.CheckURL(s); err != nil {
		return "", fmt.Errorf("%q: %w", Redact(s), err)
	}
	return s, nil
}

// Redact hides the passwords of a URL, for messages: before its host, and as a
// parameter, with what follows. In a Redis URL a name alone is a password; what is
// no URL at all shows nothing before its @.
func Redact(s string) string {
	if before, _, is := strings.Cut(s, "password="); is { // first: an @ in it is not that of a host
		s = before + "password=***"
	}
	return hideUser(s)
}

func hideUser(s string) string {
	scheme, rest, isURL := strings.Cut(s, "://")
	if !isURL {
		scheme, rest = "", s
	}
	at := strings.LastIndex(rest, "@")
	if at < 0 {
		return s
	}
	user, _, hasPassword := strings.Cut(rest[:at], ":")
	switch {
	case !isURL:
		return "***" + rest[at:]
	case hasPassword:
		user += ":***"
	case strings.HasPrefix(scheme, "redis"):
		user = "***"
	}
	return scheme + "://" + user + rest[at:]
}

func hasPassword(s string) bool { return Redact(s) != s }

func archiveURL(s string) (string, error) {
	path, isFile := strings.CutPrefix(s, "sqlite:")
	if isFile && path != "" {
		return s, nil
	}
	for _, scheme := range []string{"postgres://", "postgresql://"} {
		if strings.HasPrefix(s, scheme) && len(s) > len(scheme) {
			return s, nil
		}
	}
	return "", fmt.Errorf("%q: want sqlite:PATH or postgres://USER@HOST/DATABASE", Redact(s))
}

// baseURL reads an upstream's address. Nothing that follows a path may be in it.
func baseURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("%q: want http(s)://HOST/PATH, such as https://api.openai.com/v1", Redact(s))
	}
	if u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fmt.Errorf("%q: want no user, ? or # in it; the credential belongs in api_key", Redact(s))
	}
	s = strings.TrimRight(s, "/")
	for _, route := range []string{"/chat/completions", "/completions", "/embeddings", "/images/generations"} {
		if base, ok := strings.CutSuffix(s, route); ok {
			return "", fmt.Errorf("%q: want what stands before %s, such as %s: calls go to base_url and their own path", s, route, base)
		}
	}
	return s, nil
}

var nameForm = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$`)

// webOrigin is where a web page is from, as browsers write it: https://chat.example.com, or "*" for anywhere.
func webOrigin(s string) (string, error) {
	u, err := url.Parse(s)
	if s == "*" || (err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && s == u.Scheme+"://"+strings.ToLower(u.Host)) {
		return s, nil
	}
	return "", fmt.Errorf("%q: want where a page is from as browsers write it, in lower case and without a path: https://chat.example.com, or \"*\" for any", s)
}

func name(s string) (string, error) {
	if !nameForm.MatchString(s) {
		return "", fmt.Errorf("%q: want a name of letters, digits, '.', '_' and '-', up to 64", s)
	}
	return s, nil
}

func modelName(s string) (string, error) {
	switch {
	case s == "" || strings.TrimSpace(s) != s:
		return "", fmt.Errorf("%q: want a model's name, or a pattern such as glm-*", s)
	case len(s) > 256:
		return "", errors.New("want a model's name of at most 256 bytes")
	}
	return s, nil
}

func renamed(s string) (string, error) {
	if strings.Contains(s, "*") {
		return "", fmt.Errorf("%q: want one name of the upstream's, without *", s)
	}
	return modelName(s)
}
