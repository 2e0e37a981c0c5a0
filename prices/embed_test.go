package prices_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tollgate/tollgate/meter"
	"github.com/tollgate/tollgate/prices"
)

func TestEveryTableLoadsWithoutWarning(t *testing.T) {
	files := prices.Files()
	if len(files) < 2 {
		t.Fatalf("%d tables, want bigmodel.yaml and openai.yaml at least", len(files))
	}
	book, err := meter.NewBook(meter.BookOptions{Currency: "CNY", Exchange: map[string]string{"USD": "7.1"}, Files: files})
	if err != nil {
		t.Fatal(err)
	}
	if w := book.Warnings(); len(w) > 0 {
		t.Errorf("warnings: %q", w)
	}
	for _, f := range files {
		currency := map[string]string{"bigmodel.yaml": "CNY", "openai.yaml": "USD", "anthropic.yaml": "USD", "gemini.yaml": "USD"}[f.Name]
		if currency == "" {
			t.Errorf("%s: this test does not know its currency", f.Name)
		}
		if _, err := meter.NewBook(meter.BookOptions{Currency: currency, Files: []meter.PriceFile{f}}); err != nil {
			t.Errorf("%s alone: %v", f.Name, err)
		}
	}
}

func TestEveryModelCanBeQuoted(t *testing.T) {
	book, err := meter.NewBook(meter.BookOptions{Currency: "CNY", Exchange: map[string]string{"USD": "7.1"}, Files: prices.Files()})
	if err != nil {
		t.Fatal(err)
	}
	ceilings := map[string]meter.Quantities{
		"chat":           {meter.Input: 1000, meter.Output: 1000},
		"embeddings":     {meter.Input: 1000},
		"rerank":         {meter.Input: 1000},
		"images":         {meter.Input: 1000, meter.Image: 1, meter.OutputImage: 6240},
		"videos":         {meter.Video: 1},
		"speech":         {meter.Character: 1000},
		"transcriptions": {meter.AudioMS: 60_000},
		"moderations":    {meter.Call: 1},
		"tokenizer":      {meter.Call: 1},
		"web_search":     {meter.Search: 1},
	}
	at := time.Date(2026, time.October, 1, 0, 0, 0, 0, time.UTC)
	for _, model := range book.Models() {
		quoted := false
		for class, ceiling := range ceilings {
			if !book.Priced(model, class, at) {
				continue
			}
			quoted = true
			if _, err := book.Quote(meter.PriceQuery{Model: model, Class: class, At: at}, &ceiling, nil); err != nil {
				t.Errorf("%s at %s: %v", model, class, err)
			}
		}
		if !quoted {
			t.Errorf("%s is priced for no endpoint that this test knows", model)
		}
	}
}

func TestReadKnowsItsTables(t *testing.T) {
	f, err := prices.Read("prices/bigmodel.yaml")
	if err != nil || f.Name != "bigmodel.yaml" || len(f.Data) == 0 {
		t.Errorf("got %q, %d bytes, %v", f.Name, len(f.Data), err)
	}
	if _, err := prices.Read("nobody.yaml"); err == nil {
		t.Error("a table that is not there was found")
	}
}

// A model of a pattern has no name in the list of models: those that are
// called by it are named.
func TestCommonModelsAreNamed(t *testing.T) {
	book, err := meter.NewBook(meter.BookOptions{Currency: "CNY", Exchange: map[string]string{"USD": "7.1"}, Files: prices.Files()})
	if err != nil {
		t.Fatal(err)
	}
	for _, model := range []string{"glm-4.6", "embedding-3", "cogview-4", "gpt-4o", "text-embedding-3-small"} {
		if !slices.Contains(book.Models(), model) {
			t.Errorf("no row names %s exactly", model)
		}
	}
}

// A row of these tables says where it is for, and GET /v1/models offers the model there.
func TestEveryModelIsSoldWhereItIsPriced(t *testing.T) {
	book, err := meter.NewBook(meter.BookOptions{Currency: "CNY", Exchange: map[string]string{"USD": "7.1"}, Files: prices.Files()})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, time.October, 1, 0, 0, 0, 0, time.UTC)
	for _, model := range book.Models() {
		for _, e := range meter.Endpoints() {
			if book.Priced(model, e.Class, at) && !book.Sells(model, e, "", at) {
				t.Errorf("%s is not sold at %s", model, e.Path)
			}
		}
	}
}
