package clients

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// bearer adds the access key to every request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

func (h *house) goSDK(t *testing.T) {
	for _, revision := range []string{"2025-11-25", "2026-07-28"} {
		for _, server := range []string{"everything", "everything-stdio"} {
			t.Run(revision+" "+server, func(t *testing.T) { h.goClient(t, revision, server) })
		}
	}
}

func (h *house) goClient(t *testing.T, revision, server string) {
	ctx := t.Context()
	steps := make(chan float64, 9)
	client := mcp.NewClient(&mcp.Implementation{Name: "go", Version: "1"}, &mcp.ClientOptions{
		ElicitationHandler: func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			if r.Params.Message != "Please provide inputs for the following fields:" {
				t.Errorf("asked %q", r.Params.Message)
			}
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"name": "Ada", "check": true, "integer": 7}}, nil
		},
		CreateMessageHandler: func(_ context.Context, r *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
			return &mcp.CreateMessageResult{Role: "assistant", Model: "none", Content: &mcp.TextContent{Text: "echo"}}, nil
		},
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			steps <- r.Params.Progress
		},
	})
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: h.url + "/" + server + "/mcp", HTTPClient: &http.Client{Transport: bearer(h.key)}},
		&mcp.ClientSessionOptions{ProtocolVersion: revision})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if got := session.InitializeResult().ProtocolVersion; got != revision {
		t.Errorf("revision = %s, want %s", got, revision)
	}
	call := func(name string, args map[string]any, meta mcp.Meta) string {
		t.Helper()
		res, err := session.CallTool(ctx, &mcp.CallToolParams{Meta: meta, Name: name, Arguments: args})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var text []string
		for _, c := range res.Content {
			if tc, ok := c.(*mcp.TextContent); ok {
				text = append(text, tc.Text)
			}
		}
		return strings.Join(text, "\n")
	}
	if got, want := call("echo", map[string]any{"message": "grüß"}, nil), "Echo: grüß"; got != want {
		t.Errorf("echo = %q, want %q", got, want)
	}
	if got, want := call("trigger-long-running-operation", map[string]any{"duration": 0.4, "steps": 4}, mcp.Meta{"progressToken": "p"}), "Steps: 4."; !strings.Contains(got, want) {
		t.Errorf("long running = %q, want %q in it", got, want)
	}
	for want := 1.0; want <= 4; want++ {
		select {
		case got := <-steps:
			if got != want {
				t.Errorf("progress = %v, want %v", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("progress %v did not come", want)
		}
	}
	if got, want := call("trigger-elicitation-request", map[string]any{}, nil), "- Favorite Integer: 7"; !strings.Contains(got, want) {
		t.Errorf("elicited = %q, want %q in it", got, want)
	}
	if got, want := call("trigger-sampling-request", map[string]any{"prompt": "hello"}, nil), `"text": "echo"`; !strings.Contains(got, want) {
		t.Errorf("sampled = %q, want %q in it", got, want)
	}
	res, err := session.ReadResource(ctx, &mcp.ReadResourceParams{URI: "demo://resource/dynamic/text/3"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := res.Contents[0].Text, "Resource 3: This is a plaintext resource"; !strings.HasPrefix(got, want) {
		t.Errorf("resource = %q, want it to begin with %q", got, want)
	}
}
