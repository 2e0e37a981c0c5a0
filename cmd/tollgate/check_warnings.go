package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/config"
	"github.com/tollgate/tollgate/meter"
	"github.com/tollgate/tollgate/proxy"
)

// priceWarnings and upstreamWarnings are what check says, and a start and a reload log.
func priceWarnings(cfg *config.Config, book *meter.Book) []string {
	return slices.Concat(book.Warnings(), book.ForOthers(cfg.UpstreamNames()), withoutPrice(cfg, book), pricedElsewhere(cfg, book, time.Now()))
}

func upstreamWarnings(cfg *config.Config) []string {
	return slices.Concat(withoutKey(cfg), withoutPath(cfg))
}

// withoutKey are warnings of upstreams without a credential.
func withoutKey(cfg *config.Config) (warnings []string) {
	for _, u := range cfg.Upstreams {
		if u.APIKey == "" {
			warnings = append(warnings, fmt.Sprintf("upstream %s has no api_key: calls go to it without a credential", u.Name))
		}
	}
	return warnings
}

// withoutPath are warnings of upstreams whose base_url is a host alone. Few are reached so, and
// what the others answer is a 404 that seems to be about the client's request.
func withoutPath(cfg *config.Config) (warnings []string) {
	for _, u := range cfg.Upstreams {
		at, err := url.Parse(u.BaseURL)
		if served := servedBy(u.Kind); err == nil && at.Path == "" && len(served) > 0 {
			usual := "/v1"
			if served[0].API == meter.Gemini {
				usual = "/v1beta"
			}
			warnings = append(warnings, fmt.Sprintf("upstream %s has no path in its base_url: chats go to %s%s; most providers want %s%s, or what their page says",
				u.Name, u.BaseURL, served[0].Path, u.BaseURL, usual))
		}
	}
	return warnings
}

// withoutPrice are warnings of models that upstreams name, or whose pattern they have, and nothing prices.
func withoutPrice(cfg *config.Config, book *meter.Book) (warnings []string) {
	for _, u := range cfg.Upstreams {
		for _, m := range u.Models {
			switch isPattern := strings.Contains(m.Pattern, "*"); {
			case u.Pending():
			case isPattern && !book.PricesAny(m.Pattern):
				warnings = append(warnings, fmt.Sprintf("upstream %s serves %s, and no model of such a name has a price: calls to it are refused", u.Name, m.Pattern))
			case !isPattern && !pricedAnywhere(book, m.Pattern, u.Kind):
				warnings = append(warnings, fmt.Sprintf("upstream %s serves %s, which has no price: calls to it are refused", u.Name, m.Pattern))
			}
		}
	}
	return warnings
}

// pricedAnywhere tells whether the model has a price where upstreams of the kind may
// serve it: not at endpoints of another API.
func pricedAnywhere(book *meter.Book, model, kind string) bool {
	elsewhere := make(map[string]bool) // by class
	for _, e := range meter.Endpoints() {
		elsewhere[e.Class] = true
	}
	for _, e := range servedBy(kind) {
		elsewhere[e.Class] = false
	}
	return slices.ContainsFunc(billedClasses(), func(class string) bool {
		return !elsewhere[class] && book.Priced(model, class, time.Now())
	})
}

// pricedElsewhere are warnings of models that several upstreams serve, and not all have a price for: as a call may
// go to any of them, it is refused. Each upstream is told the first such model, and how many more there are.
func pricedElsewhere(cfg *config.Config, book *meter.Book, at time.Time) (warnings []string) {
	models := slices.DeleteFunc(namedModels(cfg, book), func(model string) bool { return !dependsOnUpstream(book.Rates(model, at)) })
	for _, u := range cfg.Upstreams {
		var lacking, seller string
		n := 0
		for _, model := range models {
			if name := sellerBeside(cfg, book, &u, model, at); name != "" {
				if n++; n == 1 {
					lacking, seller = model, name
				}
			}
		}
		if n == 0 {
			continue
		}
		more := ""
		if n > 1 {
			more = " (as with " + plural(int64(n-1), "other model") + ")"
		}
		warnings = append(warnings, fmt.Sprintf("upstream %s serves %s, for which upstream %s has a price and it has none: calls to %[2]s are refused, whoever would serve them%[4]s",
			u.Name, lacking, seller, more))
	}
	return warnings
}

// dependsOnUpstream tells whether who answers decides about a price, or about there being one.
func dependsOnUpstream(prices []meter.ModelPrice) bool {
	return slices.ContainsFunc(prices, func(p meter.ModelPrice) bool { return len(p.Upstreams) > 0 })
}

// sellerBeside is another upstream that serves the model at an endpoint where u serves it, too, and has a price for that,
// which u lacks; "" if there is none.
func sellerBeside(cfg *config.Config, book *meter.Book, u *config.Upstream, model string, at time.Time) string {
	if !names(u, model) {
		return ""
	}
	for _, e := range servedBy(u.Kind) {
		if book.Sells(model, e, u.Name, at) {
			continue
		}
		for i := range cfg.Upstreams {
			other := &cfg.Upstreams[i]
			if names(other, model) && slices.Contains(servedBy(other.Kind), e) && book.Sells(model, e, other.Name, at) {
				return other.Name
			}
		}
	}
	return ""
}

// names tells whether the upstream's settings have the model.
func names(u *config.Upstream, model string) bool {
	return !u.Pending() && slices.ContainsFunc(u.Models, func(m config.ModelRule) bool { return meter.MatchModel(m.Pattern, model) })
}

// namedModels are the models that have a name: in the price tables, or in the settings of an upstream.
func namedModels(cfg *config.Config, book *meter.Book) []string {
	models := book.Models()
	for _, u := range cfg.Upstreams {
		for _, m := range u.Models {
			if !strings.Contains(m.Pattern, "*") {
				models = append(models, m.Pattern)
			}
		}
	}
	slices.Sort(models)
	return slices.Compact(models)
}

// servedBy are the endpoints that upstreams of a kind serve.
func servedBy(kind string) []*meter.Endpoint {
	return slices.DeleteFunc(meter.Endpoints(), func(e *meter.Endpoint) bool { return !slices.Contains(proxy.APIsOf(kind), e.API) })
}
