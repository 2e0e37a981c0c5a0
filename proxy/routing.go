package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tollgate/tollgate/meter"
)

// routing is the prices and upstreams that calls are served by.
type routing struct {
	book      *meter.Book
	upstreams []*upstream
	// named are the models that have a name: in the price tables, or in the settings
	// of an upstream, where a pattern may price them.
	named map[string]bool
}

// candidate is an upstream for one model, and the name it knows it by.
type candidate struct {
	*upstream
	model string
}

func newRouting(book *meter.Book, list []Upstream) (*routing, error) {
	r := &routing{book: book, named: map[string]bool{}}
	for _, name := range book.Models() {
		r.named[name] = true
	}
	var problems []error
	for i := range list {
		u, err := newUpstream(&list[i])
		if err == nil && r.byName(u.Name) != nil {
			err = fmt.Errorf("upstream %s: the name is used twice", u.Name)
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		r.upstreams = append(r.upstreams, u)
		for _, rule := range u.Models {
			if !strings.Contains(rule.Pattern, "*") {
				r.named[rule.Pattern] = true
			}
		}
	}
	return r, errors.Join(problems...)
}

// byName is the upstream of that name, or nil.
func (r *routing) byName(name string) *upstream {
	for _, u := range r.upstreams {
		if u.Name == name {
			return u
		}
	}
	return nil
}

// label is what metrics call a model: its name, or the pattern by which the
// upstream serves it, since clients choose the names that fit a pattern.
func (r *routing) label(model string, u *upstream) string {
	if r.named[model] {
		return model
	}
	rule, _ := u.rule(model)
	return cmp.Or(rule.Pattern, "other")
}

// exceedsLimit reports whether the upstream's model is known to write more than
// clients allow it.
func (r *routing) exceedsLimit(u *upstream, model string) bool {
	known := u.exceeding.Load()
	return known != nil && (*known)[r.label(model, u)]
}

// learnExcess remembers that it does; false: that was known.
func (r *routing) learnExcess(u *upstream, model string) bool {
	label := r.label(model, u)
	for {
		known := u.exceeding.Load()
		if known != nil && (*known)[label] {
			return false
		}
		more := map[string]bool{label: true}
		if known != nil {
			maps.Copy(more, *known)
		}
		if u.exceeding.CompareAndSwap(known, &more) {
			return true
		}
	}
}

// candidates are the upstreams that serve model by that API, in the order of the
// attempts: by priority, and by chance according to weight among equals.
func (r *routing) candidates(model string, api meter.API) []candidate {
	var found []candidate
	for _, u := range r.upstreams {
		if name, ok := u.serves(model, api); ok {
			found = append(found, candidate{u, name})
		}
	}
	if len(found) < 2 {
		return found
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return a.Priority - b.Priority })
	for i := range found {
		equals := found[i:]
		for j, c := range equals {
			if c.Priority != equals[0].Priority {
				equals = equals[:j]
				break
			}
		}
		chosen := drawByWeight(equals)
		equals[0], equals[chosen] = equals[chosen], equals[0]
	}
	return found
}

// serves reports whether any upstream serves the model by that API.
func (r *routing) serves(model string, api meter.API) bool {
	return slices.ContainsFunc(r.upstreams, func(u *upstream) bool {
		_, ok := u.serves(model, api)
		return ok
	})
}

// candidatesFor are the candidates for a request. One that names an object stored upstream
// goes only to those with SharedObjects.
func (r *routing) candidatesFor(request *meter.Request) []candidate {
	candidates := r.candidates(request.Model, request.Endpoint.API)
	if request.Stored() == nil {
		return candidates
	}
	return slices.DeleteFunc(candidates, func(c candidate) bool { return !c.SharedObjects })
}

// errNobody is why a request has no candidates.
func (r *routing) errNobody(request *meter.Request) *apiError {
	served := r.endpointsOf(request.Model)
	switch {
	case len(served) == 0:
		return errUnknownModel(request.Model)
	case !slices.Contains(served, request.Endpoint):
		return errNotServed(request.Model, request.Endpoint, served[0])
	}
	return errStored(request.Stored())
}

func drawByWeight(equals []candidate) int {
	total := 0
	for _, c := range equals {
		total += max(c.Weight, 1)
	}
	draw := rand.IntN(total) //nolint:gosec // spreading load needs no secrecy
	for i, c := range equals {
		if draw -= max(c.Weight, 1); draw < 0 {
			return i
		}
	}
	return 0
}
