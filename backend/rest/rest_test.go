package rest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/backend"
	"gatehouse/config"
	"gatehouse/internal/golden"
	"gatehouse/wire"
)

// api is a server that writes down what it is asked and answers with what answer says.
type api struct {
	*httptest.Server
	answer http.HandlerFunc

	mu  sync.Mutex
	got []string
}

func newAPI(t testing.TB, answer http.HandlerFunc) *api {
	a := &api{answer: answer}
	a.Server = httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(a.Close)
	return a
}

func (a *api) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	a.got = append(a.got, told(r, body))
	a.mu.Unlock()
	if a.answer != nil {
		r.Body = io.NopCloser(bytes.NewReader(body))
		a.answer(w, r)
		return
	}
	w.WriteHeader(204)
}

// told writes a request down, without what goes with every one.
func told(r *http.Request, body []byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", r.Method, r.RequestURI)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if name == "User-Agent" || name == "Content-Length" || name == "Accept" {
			continue
		}
		for _, v := range r.Header[name] {
			if i := strings.Index(v, "boundary="); i >= 0 {
				mark := strings.Trim(v[i+len("boundary="):], `"`)
				body = bytes.ReplaceAll(body, []byte(mark), []byte("BOUNDARY"))
				v = v[:i] + "boundary=BOUNDARY"
			}
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	if len(body) > 0 {
		fmt.Fprintf(&b, "\n%s\n", bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")))
	}
	return b.String()
}

// requests returns what was asked since the last time.
func (a *api) requests() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := a.got
	a.got = nil
	return out
}

// env is a source that a test opened.
type env struct {
	*source
	log    *strings.Builder
	mu     sync.Mutex
	events []backend.Event
	file   string // of the document
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (e *env) logged() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.log.String()
}

var quick = bounds{look: 5 * time.Millisecond, renew: 20 * time.Millisecond, note: 5 * time.Millisecond, retry: time.Millisecond}

// openSource opens a source with the settings in yaml, as they stand below its key openapi, and waits for its document.
func openSource(t testing.TB, document, settings string) *env {
	t.Helper()
	dir := t.TempDir()
	e := &env{file: filepath.Join(dir, "api.yaml"), log: &strings.Builder{}}
	write(t, e.file, document)
	cfg := load(t, dir, "      - openapi: api.yaml\n"+indent(settings))
	e.open(t, cfg)
	return e
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func indent(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString("        " + line)
	}
	return b.String()
}

func load(t testing.TB, dir, source string) *config.Config {
	t.Helper()
	file := filepath.Join(dir, "g.yaml")
	write(t, file, "servers:\n  s:\n    sources:\n"+source)
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatalf("%v\n%s", err, source)
	}
	return cfg
}

func (e *env) open(t testing.TB, cfg *config.Config) {
	t.Helper()
	src, err := quick.open(cfg.Servers["s"].Sources[0], backend.Env{
		Server: "s", Label: "1", Log: slog.New(slog.NewTextHandler(lockedWriter{&e.mu, e.log}, &slog.HandlerOptions{
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			},
		})),
		Limits: cfg.Limits, Egress: cfg.Egress, Now: time.Now,
		Emit: func(ev backend.Event) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.events = append(e.events, ev)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	e.source = src.(*source)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := src.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	e.Catalog(t.Context(), gatehouse.Capabilities{})
}

// tool returns the definition of a tool, nil when there is none.
func (e *env) tool(name string) []byte {
	for _, t := range e.Catalog(context.Background(), gatehouse.Capabilities{}).Tools {
		if t.Name == name {
			return t.Definition()
		}
	}
	return nil
}

type silent struct{ notes chan string }

func (s silent) Notify(_ context.Context, method string, params []byte) error {
	if s.notes != nil {
		s.notes <- method + " " + string(params)
	}
	return nil
}
func (silent) CanAsk() bool                                        { return false }
func (silent) Ask(context.Context, string, []byte) ([]byte, error) { return nil, io.EOF }

func callOf(tool, args string) *gatehouse.Call {
	return &gatehouse.Call{
		ID: "c", Server: "s", Method: "tools/call", Name: tool, Arguments: []byte(args), Peer: silent{},
		Principal: &gatehouse.Principal{Kind: gatehouse.Key, ID: "key:test"}, Target: gatehouse.Target{Name: tool},
	}
}

// run makes a call and returns its result, or the error as text.
func (e *env) run(tool, args string) string {
	res, err := e.Call(context.Background(), callOf(tool, args))
	if err != nil {
		return "error: " + err.Error()
	}
	if err := wire.Verify(res.Raw, wire.ResultLimits); err != nil {
		return "result is no JSON: " + err.Error() + "\n" + string(res.Raw)
	}
	return string(res.Raw)
}

// texts are the text blocks of a result, with its error mark.
func texts(raw string) string {
	o, ok := wire.ParseObject([]byte(raw))
	if !ok {
		return raw
	}
	var out []string
	if string(o.Get("isError")) == "true" {
		out = append(out, "isError")
	}
	blocks, _ := wire.Elements(o.Get("content"))
	for _, b := range blocks {
		bo, _ := wire.ParseObject(b)
		if s, ok := wire.Text(bo.Get("text")); ok {
			out = append(out, s)
		} else {
			out = append(out, string(b))
		}
	}
	if sc := o.Get("structuredContent"); sc != nil {
		out = append(out, "structured "+string(sc))
	}
	return strings.Join(out, "\n")
}

// TestCases: a document, calls, and the requests and results that come of them. Sections are api.yaml, source.yaml with
// settings (API stands for the server), answer with status, type and body, call with a tool and its arguments on each line,
// and want.
func TestCases(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_SECRET", "s3cret")
	golden.Cases(t, "testdata/*.txtar", func(t *testing.T, c *golden.Case) {
		a := newAPI(t, nil)
		if s := c.Section("answer"); s != "" {
			head, body, _ := strings.Cut(s, "\n")
			var status int
			var kind string
			if _, err := fmt.Sscan(head, &status, &kind); err != nil {
				t.Fatal(err)
			}
			a.answer = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", kind)
				w.WriteHeader(status)
				_, _ = io.WriteString(w, strings.TrimSuffix(body, "\n")) // a caller that is gone is seen elsewhere
			}
		}
		settings := strings.ReplaceAll(c.Section("source.yaml"), "API", a.URL)
		if !strings.Contains(settings, "url:") {
			settings = "url: " + a.URL + "\n" + settings
		}
		e := openSource(t, strings.ReplaceAll(c.Section("api.yaml"), "API", a.URL), settings)
		var b strings.Builder
		for line := range strings.Lines(c.Section("call")) {
			tool, args, _ := strings.Cut(strings.TrimSpace(line), " ")
			fmt.Fprintf(&b, "> %s", line)
			res := e.run(tool, args)
			for _, r := range a.requests() {
				b.WriteString(r)
			}
			fmt.Fprintf(&b, "= %s\n", strings.ReplaceAll(strings.TrimSpace(texts(res)), "\n", "\n  "))
		}
		for line := range strings.Lines(c.Section("tools")) {
			name := strings.TrimSpace(line)
			fmt.Fprintf(&b, "tool %s %s\n", name, e.tool(name))
		}
		if c.Section("log") != "" || strings.Contains(e.logged(), "WARN") || strings.Contains(e.logged(), "ERROR") {
			var log []string
			for l := range strings.Lines(e.logged()) {
				if !strings.Contains(l, "level=INFO") {
					log = append(log, l)
				}
			}
			slices.Sort(log)
			b.WriteString(strings.Join(log, ""))
		}
		c.Want(t, "want", strings.NewReplacer(
			filepath.Dir(e.file)+string(filepath.Separator), "", a.URL, "API", strings.TrimPrefix(a.URL, "http://"), "HOST",
		).Replace(b.String()))
	})
}
