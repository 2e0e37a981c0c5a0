package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestAsk(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	defer server.Close()
	if err := ask(t.Context(), []string{server.URL}); err != nil {
		t.Error(err)
	}
	for _, status = range []int{http.StatusServiceUnavailable, http.StatusNotFound} {
		if ask(t.Context(), []string{server.URL}) == nil {
			t.Errorf("%d passes", status)
		}
	}
	for _, args := range [][]string{nil, {"http://127.0.0.1:1/"}, {"\x00"}} {
		if ask(t.Context(), args) == nil {
			t.Errorf("%q passes", args)
		}
	}
}
