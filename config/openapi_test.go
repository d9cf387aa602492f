package config

import "testing"

func TestPick(t *testing.T) {
	for _, c := range []struct {
		pick string
		want bool
	}{
		{"list.orders", true},
		{"list_orders", true},
		{"list*", true},
		{"*orders", true},
		{"l*o*s", true},
		{"l*x*s", false},
		{"list", false},
		{"orders", false},
		{"tag:shop", true},
		{"tag:sh*", true},
		{"tag:o", false},
		{"GET", true},
		{"POST", false},
		{"get", false}, // an operation id
		{"/orders/{id}", true},
		{"/orders/*", true},
		{"/orders", false},
		{"/*/{id}", true},
		{"GET /orders/*", true},
		{"PUT /orders/*", false},
	} {
		p, err := ParsePick(c.pick)
		if got := p.Match("list.orders", "list_orders", "GET", "/orders/{id}", []string{"shop", "other"}); err != nil || got != c.want {
			t.Errorf("%s: %v, %v, want %v", c.pick, got, err, c.want)
		}
	}
}

func TestFixedValuesKeepTheirText(t *testing.T) {
	setenv(t)
	c, err := Load("testdata/openapi.good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got := c.Servers["s"].Sources[0].Tools["listOrders"].Fixed
	for name, want := range map[string]string{
		"limit": "1.10", "tags": `["a",null,true,12345678901234567890]`, "deep": `{"a":{"b":16}}`, "key": `"hunter2${env:HOME}"`,
	} {
		if string(got[name]) != want {
			t.Errorf("%s = %s, want %s", name, got[name], want)
		}
	}
}
