package orders

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestOrders(t *testing.T) {
	h := New()
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/v1/orders?limit=2&customer=Ada", "", 200, `"nextCursor":"4"`},
		{"GET", "/v1/orders?limit=2&customer=Ada&cursor=4", "", 200, `"id":7,`},
		{"GET", "/v1/orders?status=open&status=paid&limit=100", "", 200, `"nextCursor":null`},
		{"GET", "/v1/orders?limit=0", "", 400, "limit must be"},
		{"POST", "/v1/orders", `{"customer":"Zoe","items":[{"sku":"a","quantity":1,"price":2}]}`, 201, `"id":8,`},
		{"POST", "/v1/orders", `{"customer":"Zoe"}`, 422, "needs a customer and items"},
		{"POST", "/v1/orders", `{"costumer":"Zoe"}`, 400, "costumer"},
		{"PATCH", "/v1/orders/8", `{"status":"paid"}`, 200, `"status":"paid"`},
		{"PATCH", "/v1/orders/8", `{"status":"lost"}`, 422, "status is none of"},
		{"GET", "/v1/orders/8", "", 200, `"customer":"Zoe"`},
		{"GET", "/v1/orders/export", "", 200, "8,Zoe,paid,2.00"},
		{"GET", "/v1/orders/1/label", "", 200, "PNG"},
		{"POST", "/v1/orders/1/files", "", 400, "no file"},
		{"DELETE", "/v1/orders/8", "", 204, ""},
		{"GET", "/v1/orders/8", "", 404, "there is no order 8"},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.path, strings.NewReader(c.body)))
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s %s = %d %s, want %d with %s", c.method, c.path, w.Code, w.Body, c.status, c.want)
		}
	}
}
