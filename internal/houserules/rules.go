package houserules

// House is the rules of this repository. A new package needs a row: its folder, and the packages of the module that its
// files import. An import that is not in the row is a decision about the structure; take it here, on purpose.
func House() Rules {
	return Rules{
		Module: "gatehouse",
		Packages: []Package{
			// The nouns, and what stands below all stages.
			{".", ""},
			{"wire", "."},
			{"config", ". internal/spelling"},
			{"egress", ". config"},
			{"internal/jsonschema", ". wire"},
			{"internal/limit", ""},
			{"internal/seal", ""},
			{"internal/spelling", ""},
			{"internal/telemetry", "."},

			// The stages: contracts, and their implementations below them.
			{"transport", ". config gateway identity internal/seal wire"},
			{"transport/*", ". config gateway identity transport wire"},
			{"identity", "."},
			{"identity/*", ". identity internal/seal store"},
			{"route", ". backend config internal/seal wire"},
			{"access", "."},
			{"policy", "."},
			{"audit", ". wire"},
			{"backend", ". config"},
			{"backend/rest/openapi", ". wire"},
			{"backend/*", ". backend config egress internal/limit wire"},
			{"backend/rest", ". backend backend/rest/openapi config egress internal/jsonschema internal/limit wire"},
			{"store", ""},
			{"store/*", "store"},

			// The order of the stages knows contracts, not implementations.
			{"gateway", ". access audit backend config identity internal/seal policy route wire"},

			// What puts it together.
			{"builtin", "backend backend/* store store/*"},
			{"cmd/gatehouse", ". access audit backend backend/* builtin config gateway identity identity/* internal/seal internal/spelling internal/telemetry policy route store transport transport/* wire"},

			// What holds the house in order, and what is no part of the binary.
			{"internal/docgen", "wire"},
			{"internal/golden", ""},
			{"internal/houserules", ""},
			{"internal/testenv", ""},
			{"examples/...", "wire"},
			{"examples/quickstart/server", "examples/orders wire"},
			{"test/...", "..."},
		},
		Libraries: map[string]string{
			"github.com/go-json-experiment/json":    "wire audit cmd/gatehouse",
			"github.com/prometheus/client_golang":   "internal/telemetry",
			"go.yaml.in/yaml/v3":                    "config backend/rest/openapi test/corpus/expect",
			"modernc.org/sqlite":                    "store/sqlite",
			"github.com/mattn/go-isatty":            "cmd/gatehouse",
			"github.com/google/go-cmp":              "internal/golden",
			"golang.org/x/tools/txtar":              "internal/golden",
			"github.com/santhosh-tekuri/jsonschema": "test/corpus",
		},
		Tests: map[string]string{
			"github.com/mattn/go-isatty":             "cmd/gatehouse",
			"github.com/google/go-cmp":               "...",
			"github.com/google/jsonschema-go":        "config",
			"github.com/rogpeppe/go-internal":        "cmd/gatehouse",
			"golang.org/x/tools/txtar":               "...",
			"github.com/modelcontextprotocol/go-sdk": "test/...",
			"github.com/santhosh-tekuri/jsonschema":  "internal/jsonschema",
		},
		Spawns: map[string]string{
			"backend/upstream": "runs the command: sources of the configuration file",
			"internal/testenv": "runs what tests drive",
		},
		Dials: map[string]string{
			"egress":           "is the way out",
			"internal/testenv": "waits until a program listens",
		},
		State: map[string]string{
			"audit.digests":            "a pool of memory: what is in it has no meaning",
			"internal/jsonschema.runs": "a pool of checks: what is in it has no meaning",
			"wire.verifiers":           "a pool of decoders: what is in it has no meaning",
			"internal/testenv.builds":  "programs are built once for all tests of a package",
		},
		Long: map[string]string{},
	}
}
