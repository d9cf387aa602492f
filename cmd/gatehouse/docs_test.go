package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/golden"
	"gatehouse/internal/testenv"
)

// TestPage: the reference page of the command line is what the commands say of themselves.
func TestPage(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# Command line

Flags may stand before and after arguments. Results go to standard output, everything else to standard error. With ` + "`--json`" + ` both are
JSON: a fault is one object a line with ` + "`code`, `file`, `line`, `column`, `message` and `hint`" + `. The exit status is 0 for success, 1 for a failed
operation, 2 for wrong usage.

This page is made from the source.
`)
	help := func(args ...string) {
		var out bytes.Buffer
		if code := run(&context{out: &out, err: &out}, args); code != ok {
			t.Fatalf("gatehouse %v exits %d", args, code)
		}
		b.WriteString("\n```\n" + strings.TrimSpace(out.String()) + "\n```\n")
	}
	help("help")
	for _, c := range commands() {
		b.WriteString("\n## gatehouse " + c.name + "\n\n" + strings.ToUpper(c.doc[:1]) + c.doc[1:] + ".\n")
		help(c.name, "--help")
	}
	golden.File(t, filepath.Join(testenv.Root(), "docs", "reference", "cli.md"), []byte(b.String()))
}

const (
	documentedAddr = "127.0.0.1:8080"
	documentedData = "examples/quickstart/gatehouse-data"
)

// block is a fenced block of a document.
type block struct{ kind, text string }

var fences = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

func blocks(t *testing.T, file string) (out []block) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(testenv.Root(), file))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range fences.FindAllStringSubmatch(string(b), -1) {
		out = append(out, block{m[1], m[2]})
	}
	return out
}

// TestDocuments runs what README.md and docs/start have a newcomer type, as it stands there but for the port and the
// folder of data, and looks for the text that is promised below it.
func TestDocuments(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the commands are for a Unix shell")
	}
	start, err := filepath.Glob(filepath.Join(testenv.Root(), "docs", "start", "*.md"))
	if err != nil || len(start) == 0 {
		t.Fatalf("no documents in docs/start: %v", err)
	}
	files := []string{"README.md"}
	for _, f := range start {
		files = append(files, filepath.Join("docs", "start", filepath.Base(f)))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			r := &reader{addr: testenv.Addr(t), data: t.TempDir(), env: append(os.Environ(), "CGO_ENABLED=0")}
			served := false
			for _, b := range blocks(t, file) {
				switch b.kind {
				case "console":
					r.said = ""
					for line := range strings.Lines(b.text) {
						r.run(t, strings.TrimSuffix(line, "\n"))
					}
					served = served || r.server != nil
				case "text":
					for line := range strings.Lines(b.text) {
						r.expect(t, strings.TrimSuffix(line, "\n"))
					}
				}
			}
			if !served {
				t.Fatalf("%s starts no server", file)
			}
			r.said = "" // the first tool call of a newcomer, by the key that was printed
			r.run(t, "export GATEHOUSE_KEY=…")
			r.run(t, "go run ./cmd/gatehouse call http://"+documentedAddr+"/notes/mcp note_add --arg text=hello")
			r.expect(t, "kept as note ")
		})
	}
}

// reader is somebody who follows a document.
type reader struct {
	addr, data string
	env        []string
	server     *testenv.Process
	said       string // by the commands of the last block
}

func (r *reader) run(t *testing.T, command string) {
	t.Helper()
	line := strings.NewReplacer(documentedAddr, r.addr, documentedData, r.data).Replace(command)
	switch {
	case command == "go test ./...": // is what runs this
	case strings.Contains(command, " serve "):
		args := append(strings.Fields(line), "--listen", r.addr, "--data", r.data)
		r.server = testenv.StartIn(t, testenv.Root(), r.addr, r.env, args[0], args[1:]...)
	case strings.HasPrefix(command, "export GATEHOUSE_KEY="):
		key := "" // the listener is open a moment before the key is printed
		for end := time.Now().Add(20 * time.Second); key == "" && time.Now().Before(end); {
			if key = regexp.MustCompile(`gh1_\w+`).FindString(r.server.Output()); key == "" {
				time.Sleep(10 * time.Millisecond)
			}
		}
		if key == "" {
			t.Fatalf("no key was printed:\n%s", r.server.Output())
		}
		r.env = append(r.env, "GATEHOUSE_KEY="+key)
	default:
		cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
		cmd.Dir, cmd.Env = testenv.Root(), r.env
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
		r.said += string(out)
	}
}

// expect waits until the text has been said: the server goes on talking.
func (r *reader) expect(t *testing.T, text string) {
	t.Helper()
	text = strings.ReplaceAll(text, documentedAddr, r.addr)
	end := time.Now().Add(patience)
	for {
		said := r.said
		if said == "" && r.server != nil {
			said = r.server.Output()
		}
		if strings.Contains(said, text) {
			return
		}
		if r.said != "" || time.Now().After(end) {
			t.Fatalf("the document promises %q; what was said:\n%s", text, said)
		}
		<-time.After(20 * time.Millisecond)
	}
}
