package hostile

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/backend"
	"gatehouse/builtin"
	"gatehouse/config"
	"gatehouse/wire"
)

// TestMain is the upstream server of TestLines too, when its variable says so.
func TestMain(m *testing.M) {
	if file := os.Getenv("HOSTILE_CHILD"); file != "" {
		child(file)
		return
	}
	os.Exit(m.Run())
}

// child is a legacy server on standard input and output that writes down the methods of all it reads, a line each.
func child(file string) {
	in := bufio.NewReader(os.Stdin)
	log, err := os.Create(file)
	if err != nil {
		panic(err)
	}
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		for part := range bytes.SplitSeq(bytes.TrimRight(line, "\r\n"), []byte("\r")) { // some readers end lines so
			m, err := wire.Parse(part, wire.RequestLimits)
			params, _ := wire.ParseObject(m.Params)
			name, _ := wire.Text(params.Get("name"))
			fmt.Fprintf(log, "%s %s %v\n", m.Method, name, err)
			answer := `{}`
			switch m.Method {
			case "server/discover":
				os.Stdout.Write(append(wire.AppendError(nil, m.ID, wire.RPC{Code: -32601, Message: "unknown"}), '\n'))
				continue
			case "initialize":
				answer = `{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"child","version":"1"}}`
			case "tools/list":
				answer = `{"tools":[{"name":"greet","inputSchema":{"type":"object"}},{"name":"secret","inputSchema":{"type":"object"}}]}`
			case "tools/call":
				answer = `{"content":[]}`
			}
			if m.Kind == wire.Request {
				os.Stdout.Write(append(wire.AppendResult(nil, m.ID, []byte(answer)), '\n'))
			}
		}
	}
}

type alone struct{}

func (alone) Notify(context.Context, string, []byte) error        { return nil }
func (alone) CanAsk() bool                                        { return false }
func (alone) Ask(context.Context, string, []byte) ([]byte, error) { return nil, io.EOF }

// TestLines: a server on standard input reads lines. Line breaks in a caller's arguments, which are passed on as they
// were written, must not make a message of what stands between them.
func TestLines(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "log")
	var open func(config.Source, backend.Env) (backend.Source, error)
	for _, k := range builtin.Backends {
		if k.Key == "command" {
			open = k.Open
		}
	}
	src, err := open(config.Source{Command: []string{exe}, Env: map[string]gatehouse.Secret{"HOSTILE_CHILD": gatehouse.NewSecret(file)}, Era: "legacy", Sessions: "shared"},
		backend.Env{Server: "s", Label: "1", Log: slog.New(slog.DiscardHandler), Limits: config.DefaultLimits, Emit: func(backend.Event) {}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = src.Close(t.Context()) }()
	evil := `{"jsonrpc":"2.0","id":99,"method":"tools/call","params":{"name":"secret"}}`
	for _, br := range []string{"\n", "\r", "\r\n"} {
		args := `{"a":` + br + evil + br + `,"b":1}`
		if err := wire.Verify([]byte(args), wire.RequestLimits); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		res, err := src.Call(ctx, &gatehouse.Call{
			ID: "c", Server: "s", Method: "tools/call", Name: "greet", Arguments: []byte(args), Peer: alone{}, Received: time.Now(),
			Principal: &gatehouse.Principal{Kind: gatehouse.Key, ID: "key:a"}, Target: gatehouse.Target{Source: "1", Name: "greet"},
			Client: gatehouse.Client{Era: gatehouse.Modern, Revision: gatehouse.Revision20260728},
		})
		if err != nil || string(res.Raw) != `{"content":[]}` {
			t.Fatalf("%q: %v, %v", br, res, err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(got), "secret") || strings.Count(string(got), "tools/call greet <nil>\n") != 3 {
		t.Errorf("the server read\n%s", got)
	}
}
