package route

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"gatehouse"
)

func TestWords(t *testing.T) {
	for in, want := range map[string]string{
		"listOpenOrders":       "list open order",
		"list_open-orders/v2":  "list open order v2",
		"HTTPServerURLs":       "http server ur ls", // a plural of capitals is beyond us
		"/users/{user-id}":     "user user id",
		"Straße größe":         "straße größe",
		"policies boxes class": "policy box class",
		"":                     "",
	} {
		var got []string
		words(in, func(w string) bool {
			got = append(got, w)
			return true
		})
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestRanking(t *testing.T) {
	entries := make([]Entry, 0, 1000)
	for i := range 995 {
		entries = append(entries, Entry{Tool: gatehouse.Tool{Text: func() string { return fmt.Sprintf("do thing number %d with an item", i) }}, Own: fmt.Sprintf("thing%d", i)})
	}
	for name, text := range map[string]string{
		"cancelSubscription": "POST /subscriptions/{id}/cancel\nCancel a subscription at the end of its period",
		"listSubscriptions":  "GET /subscriptions\nList subscriptions of a customer\ncustomer limit",
		"getInvoice":         "GET /invoices/{id}\nRead one invoice",
	} {
		entries = append(entries, Entry{Tool: gatehouse.Tool{Text: func() string { return text }}, Own: name})
	}
	x := newIndex(entries)
	for query, want := range map[string]string{
		"cancel subscription":         "cancelSubscription",
		"subscriptions of a customer": "listSubscriptions",
		"GET /invoices/{id}":          "getInvoice",
		"invoi":                       "getInvoice",
		"thing 77":                    "thing77",
	} {
		got := x.find(query)
		if len(got) == 0 || entries[got[0]].Own != want {
			t.Errorf("%s: %v first of %d, want %s", query, got[:min(len(got), 1)], len(got), want)
		}
	}
	if got := x.find("nothing fits ... zzz"); len(got) > 0 {
		t.Errorf("%d found for nothing", len(got))
	}
	if !slices.Equal(x.find("item"), x.find("item")) {
		t.Error("the order of equals changes")
	}
}

func BenchmarkIndex(b *testing.B) {
	entries := make([]Entry, 10_000)
	for i := range entries {
		text := fmt.Sprintf("GET /things/%d/parts\nList the parts of thing %d with their %d prices and dates\nlimit offset filter sort", i, i, i%100)
		entries[i] = Entry{Tool: gatehouse.Tool{Text: func() string { return text }}, Own: fmt.Sprintf("listParts%d", i)}
	}
	x := newIndex(entries)
	b.Run("make", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			newIndex(entries)
		}
	})
	b.Run("find", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			x.find("list parts of thing 77")
		}
	})
}
