// Package orders is the REST API of the quickstart: orders in memory, with filters, pages, files, a report and a label.
// orders.openapi.yaml beside it describes it; nothing here knows of MCP.
package orders

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"image"
	"image/color"
	"image/png"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Order is one order.
type Order struct {
	ID       int       `json:"id"`
	Customer string    `json:"customer"`
	Status   string    `json:"status"`
	Items    []Item    `json:"items"`
	Note     *string   `json:"note"`
	Created  time.Time `json:"created"`
	Files    []File    `json:"files"`
}

// Item is one line of an order.
type Item struct {
	SKU      string  `json:"sku"`
	Quantity int     `json:"quantity"`
	Price    float64 `json:"price"`
}

// File is a file that belongs to an order.
type File struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Bytes int    `json:"bytes"`
}

var states = []string{"open", "paid", "shipped", "cancelled"}

// api is the orders and their handlers.
type api struct {
	mu     sync.Mutex // guards what follows
	orders []*Order   // by id
	next   int
}

// New returns the API with a few orders in it.
func New() http.Handler {
	a := &api{next: 1}
	for i, customer := range []string{"Ada", "Grace", "Alan", "Ada", "Edsger", "Barbara", "Ada"} {
		a.add(&Order{
			Customer: customer, Status: states[i%3], Created: time.Date(2026, 1, i+1, 9, 0, 0, 0, time.UTC),
			Items: []Item{{SKU: fmt.Sprintf("BOOK-%d", i+1), Quantity: i%2 + 1, Price: 19.90 + float64(i)}},
		})
	}
	mux := http.NewServeMux()
	for pattern, handle := range map[string]http.HandlerFunc{
		"GET /v1/orders":             a.list,
		"POST /v1/orders":            a.create,
		"GET /v1/orders/export":      a.export,
		"GET /v1/orders/{id}":        a.one(a.get),
		"PATCH /v1/orders/{id}":      a.one(a.update),
		"DELETE /v1/orders/{id}":     a.one(a.remove),
		"POST /v1/orders/{id}/files": a.one(a.upload),
		"GET /v1/orders/{id}/label":  a.one(a.label),
		"GET /v1/orders/{id}/invoice": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/v1/orders/"+r.PathValue("id"), http.StatusSeeOther)
		},
	} {
		mux.HandleFunc(pattern, handle)
	}
	return mux
}

// Serve serves the API on addr until the program ends. A port that is still taken is tried again for a while.
func Serve(addr string) error {
	var ln net.Listener
	var err error
	for range 150 {
		if ln, err = net.Listen("tcp", addr); err == nil {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: New(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	return srv.Serve(ln)
}

func (a *api) add(o *Order) {
	o.ID, a.next = a.next, a.next+1
	if o.Files == nil {
		o.Files = []File{}
	}
	a.orders = append(a.orders, o)
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // who is gone reads no answer
}

func fail(w http.ResponseWriter, status int, format string, args ...any) {
	reply(w, status, map[string]string{"error": fmt.Sprintf(format, args...)})
}

// one finds the order of the path; the handler runs with the lock held.
func (a *api) one(handle func(w http.ResponseWriter, r *http.Request, o *Order)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		id, err := strconv.Atoi(r.PathValue("id"))
		i := slices.IndexFunc(a.orders, func(o *Order) bool { return o.ID == id })
		if err != nil || i < 0 {
			fail(w, http.StatusNotFound, "there is no order %s", r.PathValue("id"))
			return
		}
		handle(w, r, a.orders[i])
	}
}

// list answers with a page of orders: ?status=open&status=paid&customer=Ada&limit=2&cursor=3.
func (a *api) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, err := strconv.Atoi(q.Get("limit"))
	if q.Get("limit") == "" {
		limit, err = 3, nil
	}
	after := 0
	if err == nil && q.Get("cursor") != "" {
		after, err = strconv.Atoi(q.Get("cursor"))
	}
	if err != nil || limit < 1 || limit > 100 {
		fail(w, http.StatusBadRequest, "limit must be 1 to 100 and cursor one that was given")
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	page := struct {
		Orders     []*Order `json:"orders"`
		NextCursor *string  `json:"nextCursor"`
	}{Orders: []*Order{}}
	for _, o := range a.orders {
		if o.ID <= after || len(q["status"]) > 0 && !slices.Contains(q["status"], o.Status) || q.Get("customer") != "" && q.Get("customer") != o.Customer {
			continue
		}
		if len(page.Orders) == limit {
			cursor := strconv.Itoa(page.Orders[limit-1].ID)
			page.NextCursor = &cursor
			break
		}
		page.Orders = append(page.Orders, o)
	}
	reply(w, http.StatusOK, page)
}

// write is what a caller may say of an order.
type write struct {
	Customer *string `json:"customer"`
	Status   *string `json:"status"`
	Items    []Item  `json:"items"`
	Note     *string `json:"note"`
}

func (a *api) read(w http.ResponseWriter, r *http.Request) (in write, ok bool) {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		fail(w, http.StatusBadRequest, "the body is no order: %v", err)
		return in, false
	}
	if in.Status != nil && !slices.Contains(states, *in.Status) {
		fail(w, http.StatusUnprocessableEntity, "status is none of %s", strings.Join(states, ", "))
		return in, false
	}
	return in, true
}

func (a *api) create(w http.ResponseWriter, r *http.Request) {
	in, ok := a.read(w, r)
	if !ok {
		return
	}
	if in.Customer == nil || len(in.Items) == 0 {
		fail(w, http.StatusUnprocessableEntity, "an order needs a customer and items")
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	o := &Order{Customer: *in.Customer, Status: "open", Items: in.Items, Note: in.Note, Created: time.Now().UTC().Truncate(time.Second)}
	a.add(o)
	w.Header().Set("Location", fmt.Sprintf("/v1/orders/%d", o.ID))
	reply(w, http.StatusCreated, o)
}

func (a *api) get(w http.ResponseWriter, _ *http.Request, o *Order) { reply(w, http.StatusOK, o) }

func (a *api) update(w http.ResponseWriter, r *http.Request, o *Order) {
	in, ok := a.read(w, r)
	if !ok {
		return
	}
	if in.Customer != nil {
		o.Customer = *in.Customer
	}
	if in.Status != nil {
		o.Status = *in.Status
	}
	if in.Items != nil {
		o.Items = in.Items
	}
	if in.Note != nil {
		o.Note = in.Note
	}
	reply(w, http.StatusOK, o)
}

func (a *api) remove(w http.ResponseWriter, _ *http.Request, o *Order) {
	a.orders = slices.DeleteFunc(a.orders, func(x *Order) bool { return x == o })
	w.WriteHeader(http.StatusNoContent)
}

// upload keeps name and size of a file in a multipart form.
func (a *api) upload(w http.ResponseWriter, r *http.Request, o *Order) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<20)
	f, head, err := r.FormFile("file")
	if err != nil {
		fail(w, http.StatusBadRequest, "the form has no file: %v", err)
		return
	}
	defer f.Close()
	n, err := io.Copy(io.Discard, f)
	if err != nil {
		fail(w, http.StatusBadRequest, "the file cannot be read: %v", err)
		return
	}
	o.Files = append(o.Files, File{Name: head.Filename, Type: head.Header.Get("Content-Type"), Bytes: int(n)})
	reply(w, http.StatusCreated, o.Files[len(o.Files)-1])
}

// export answers with all orders as CSV.
func (a *api) export(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	c := csv.NewWriter(w)
	_ = c.Write([]string{"id", "customer", "status", "total"}) // Flush has the error, and nobody to tell
	for _, o := range a.orders {
		total := 0.0
		for _, i := range o.Items {
			total += float64(i.Quantity) * i.Price
		}
		_ = c.Write([]string{strconv.Itoa(o.ID), o.Customer, o.Status, strconv.FormatFloat(total, 'f', 2, 64)})
	}
	c.Flush()
}

// label answers with the shipping label: a picture of 64 × 64 dots made from the order.
func (a *api) label(w http.ResponseWriter, _ *http.Request, o *Order) {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s", o.ID, o.Customer)
	bits := h.Sum64()
	img := image.NewPaletted(image.Rect(0, 0, 64, 64), color.Palette{color.White, color.Black})
	for y := range 64 {
		for x := range 64 {
			img.SetColorIndex(x, y, uint8(bits>>(y/8*8+x/8)&1))
		}
	}
	w.Header().Set("Content-Type", "image/png")
	_ = png.Encode(w, img) // who is gone needs no picture
}
