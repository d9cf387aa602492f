package clients

import "testing"

const (
	noteTools = `["convert_units","count_slowly","note_add","note_clear","note_search"]`
	everyTool = `["echo","get-annotated-message","get-env","get-resource-links","get-resource-reference","get-roots-list","get-structured-content","get-sum",` +
		`"get-tiny-image","gzip-file-as-resource","simulate-research-query","toggle-simulated-logging","toggle-subscriber-updates",` +
		`"trigger-elicitation-request","trigger-long-running-operation","trigger-sampling-request"]`
	fields = `["name","check","firstLine","email","homepage","birthdate","integer","number","untitledSingleSelectEnum",` +
		`"untitledMultipleSelectEnum","titledSingleSelectEnum","titledMultipleSelectEnum","legacyTitledEnum"]`
	elicited = `"✅ User provided the requested information!\nUser inputs:\n- Name: Ada\n- Agreed to terms: true\n- Favorite Integer: 7\n\n` +
		`Raw result: {\n  \"action\": \"accept\",\n  \"content\": {\n    \"name\": \"Ada\",\n    \"check\": true,\n    \"integer\": 7\n  }\n}"`
	sampled = `"LLM sampling result: \n{\n  \"model\": \"none\",\n  \"role\": \"assistant\",\n  \"content\": {\n    \"type\": \"text\",\n    ` +
		`\"text\": \"echo of Resource trigger-sampling-request context: hello\"\n  }\n}"`
)

// everything is what any client gets of server-everything.
func everything(more map[string]string) map[string]string {
	want := map[string]string{
		"tools":      everyTool,
		"echo":       `"Echo: grüß 🜚 \"q\" \u0001"`,
		"structured": `{"conditions":"Light rain / drizzle","humidity":82,"temperature":36}`,
		"long":       `"Long running operation completed. Duration: 0.4 seconds, Steps: 4."`,
		"progress":   `["1/4","2/4","3/4","4/4"]`,
		"asked":      fields,
		"elicited":   elicited,
		"sampled":    sampled,
		"prompt":     `"What's weather in Oslo, none?"`,
		"complete":   `["Alice"]`,
		"resource":   `"Resource 3: This is a plaintext resource created"`,
		"unknown":    `-32602`,
	}
	for k, v := range more {
		want[k] = v
	}
	return want
}

// notes is what any client gets of the quickstart's server.
func notes(more map[string]string) map[string]string {
	want := map[string]string{
		"tools":    noteTools,
		"added":    `"kept as note 1"`,
		"found":    `"1. buy coal"`,
		"counted":  `"counted to 3"`,
		"progress": `["1/3","2/3","3/3"]`,
		"resource": `"buy coal"`,
		"asked":    `["sure"]`,
		"cleared":  `"all notes are removed"`,
	}
	for k, v := range more {
		want[k] = v
	}
	return want
}

func (h *house) sdk(t *testing.T) {
	for _, server := range []string{"everything", "everything-stdio"} {
		t.Run(server, func(t *testing.T) {
			expect(t, h.script(t, "sdk.mjs", "everything", h.url+"/"+server+"/mcp", h.key), everything(map[string]string{
				"sum":       `"The sum of 9007199254740991 and -0.5 is 9007199254740990."`,
				"image":     `"Here's the image you requested:\n(image image/png)\nThe image above is the MCP logo."`,
				"roots":     `true`,
				"prompts":   `["args-prompt","completable-prompt","resource-prompt","simple-prompt"]`,
				"templates": `["demo://resource/dynamic/blob/{resourceId}","demo://resource/dynamic/text/{resourceId}"]`,
				"revision":  `"2025-11-25"`,
			}))
		})
	}
	for _, server := range []string{"legacy", "modern"} {
		t.Run("subscribe to "+server, func(t *testing.T) {
			expect(t, h.script(t, "sdk.mjs", "subscribe", h.url+"/"+server+"/mcp", h.key), map[string]string{"updated": `"test://watched-resource"`})
		})
	}
	t.Run("a modern server's questions", func(t *testing.T) {
		expect(t, h.script(t, "sdk.mjs", "modern", h.url+"/modern/mcp", h.key), map[string]string{
			"elicited": `"Hello, Ada!"`, "sampled": `"Sampling response: echo of What is the capital of France?"`, "roots": `"Client exposed 1 root(s): file:///srv/data"`,
		})
	})
	t.Run("notes", func(t *testing.T) {
		expect(t, h.script(t, "sdk.mjs", "notes", h.url+"/notes/mcp", h.key), notes(map[string]string{
			"listed":  `["note:///1"]`,
			"changed": `true`, "converted": `{"value":212}`, "revision": `"2025-11-25"`,
		}))
	})
	t.Run("notes over HTTP+SSE", func(t *testing.T) {
		expect(t, h.script(t, "sdk.mjs", "sse", h.url+"/notes/sse", h.key), notes(map[string]string{"changed": `true`}))
	})
}

func (h *house) client(t *testing.T) {
	for _, mode := range []string{"auto", "pinned"} {
		era := map[string]string{"era": `"modern"`, "revision": `"2026-07-28"`, "sent": `["tools/call answered"]`}
		t.Run(mode+" to everything", func(t *testing.T) {
			expect(t, h.script(t, "client.mjs", mode, "everything", h.url+"/everything/mcp", h.key), everything(era))
		})
		t.Run(mode+" to everything-stdio", func(t *testing.T) {
			expect(t, h.script(t, "client.mjs", mode, "everything", h.url+"/everything-stdio/mcp", h.key), everything(era))
		})
		t.Run(mode+" to notes", func(t *testing.T) {
			expect(t, h.script(t, "client.mjs", mode, "notes", h.url+"/notes/mcp", h.key), notes(era))
		})
		t.Run(mode+" to a modern server", func(t *testing.T) {
			expect(t, h.script(t, "client.mjs", mode, "modern", h.url+"/modern/mcp", h.key), map[string]string{
				"era": `"modern"`, "elicited": `"Hello, Ada!"`, "rounds": `"Multi-round complete: Ada likes unknown"`, "sent": `["tools/call answered"]`,
			})
		})
	}
}

func (h *house) remote(t *testing.T) {
	expect(t, h.script(t, "remote.mjs", h.url+"/notes/mcp", h.key), map[string]string{
		"tools": noteTools, "added": `"kept as note 1"`, "found": `"1. buy coal"`, "asked": `"Remove all notes?"`, "cleared": `"all notes are removed"`,
	})
}
