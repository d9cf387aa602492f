package evil

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// ChildEnv names the behaviour of a child in its environment.
const ChildEnv = "EVIL_CHILD"

// RunChild turns this process into the child its environment names. It returns at once when it names none, else never:
// call it first in TestMain.
func RunChild() {
	name := os.Getenv(ChildEnv)
	if name == "" {
		return
	}
	if name == "grandchild" {
		time.Sleep(3 * time.Second)
		os.Exit(0)
	}
	do := children()[name]
	if do == nil {
		fmt.Fprintf(os.Stderr, "there is no child %q\n", name)
		os.Exit(2)
	}
	c := &Child{in: bufio.NewReader(os.Stdin)}
	do(c)
	os.Exit(0)
}

// Children names the behaviours of children.
func Children() []string { return slices.Sorted(maps.Keys(children())) }

// Child is a process that speaks on standard input and output.
type Child struct {
	in *bufio.Reader
}

// Message is one message that came in, and what the child was given with it.
type Message struct {
	ID     json.RawMessage
	Method string
	Params map[string]json.RawMessage
	Line   string
}

// Next reads a message; false at the end of the input.
func (c *Child) Next() (m Message, ok bool) {
	line, err := c.in.ReadString('\n')
	if err != nil {
		return m, false
	}
	m.Line = line
	return m, json.Unmarshal([]byte(line), &m) == nil
}

// Print writes a line.
func (c *Child) Print(line string) { _, _ = io.WriteString(os.Stdout, line+"\n") }

func (m Message) result(result string) string {
	return `{"jsonrpc":"2.0","id":` + string(m.ID) + `,"result":` + result + `}`
}

// serve answers well in the legacy era, but for tools/call, which do answers.
func (c *Child) serve(do func(m Message)) {
	for {
		m, ok := c.Next()
		if !ok {
			return
		}
		switch m.Method {
		case "initialize":
			c.Print(m.result(initialized))
		case "tools/list":
			c.Print(m.result(`{"tools":[` + Tool("t") + `]}`))
		case "tools/call":
			do(m)
		default:
			if m.ID != nil && m.Method != "" {
				c.Print(`{"jsonrpc":"2.0","id":` + string(m.ID) + `,"error":{"code":-32601,"message":"Method not found"}}`)
			}
		}
	}
}

// modern answers well in the modern era, but for tools/call.
func (c *Child) modern(do func(m Message)) {
	for {
		m, ok := c.Next()
		if !ok {
			return
		}
		switch m.Method {
		case "server/discover":
			c.Print(m.result(discovered))
		case "tools/list":
			c.Print(m.result(`{"tools":[` + Tool("t") + `]}`))
		case "tools/call":
			do(m)
		}
	}
}

func onChildCall(do func(c *Child, m Message)) func(*Child) {
	return func(c *Child) { c.serve(func(m Message) { do(c, m) }) }
}

func children() map[string]func(*Child) {
	done := func(c *Child, m Message) { c.Print(m.result(call(m.Params))) }
	return map[string]func(*Child){
		"good":        onChildCall(done),
		"good modern": func(c *Child) { c.modern(func(m Message) { done(c, m) }) },
		"ends unless initialised first": func(c *Child) {
			if m, ok := c.Next(); ok && m.Method == "initialize" {
				c.Print(m.result(initialized))
				c.serve(func(m Message) { done(c, m) })
			}
		},
		"ignores what it does not know": func(c *Child) {
			for {
				m, ok := c.Next()
				switch {
				case !ok:
					return
				case m.Method == "initialize":
					c.Print(m.result(initialized))
				case m.Method == "tools/list":
					c.Print(m.result(`{"tools":[` + Tool("t") + `]}`))
				case m.Method == "tools/call":
					done(c, m)
				}
			}
		},
		"waits to be cancelled": onChildCall(func(c *Child, m Message) {
			c.Print(logMessage)
			for n, ok := c.Next(); ok; n, ok = c.Next() {
				if n.Method == "notifications/cancelled" && string(n.Params["requestId"]) == string(m.ID) {
					fmt.Fprintln(os.Stderr, "was cancelled")
					return
				}
			}
		}),
		"answers one late": func(c *Child) {
			var late Message
			c.serve(func(m Message) {
				if late.ID == nil {
					late = m
					return
				}
				done(c, late)
				done(c, m)
			})
		},
		"speaks when two are there": func(c *Child) {
			var calls []Message
			c.serve(func(m Message) {
				if calls = append(calls, m); len(calls) < 2 {
					return
				}
				c.Print(logMessage)
				c.Print(`{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage","params":{"messages":[]}}`)
				answer, _ := c.Next()
				for _, m := range calls {
					c.Print(m.result(text(answer.Line)))
				}
			})
		},
		"starts a helper": onChildCall(func(c *Child, m Message) {
			c.Print(m.result(`{"content":[],"structuredContent":{"helper":` + fmt.Sprint(start(false)) + `}}`))
		}),
		"starts a helper and dies": onChildCall(func(c *Child, m Message) {
			c.Print(m.result(`{"content":[],"structuredContent":{"helper":` + fmt.Sprint(start(false)) + `}}`))
			os.Exit(3)
		}),
		"speaks after its answer": onChildCall(func(c *Child, m Message) {
			c.Print(m.result(text("done")) + "\n" + logMessage)
		}),
		"reports progress": onChildCall(func(c *Child, m Message) {
			var meta map[string]json.RawMessage
			_ = json.Unmarshal(m.Params["_meta"], &meta)
			for i := range 1000 {
				c.Print(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":%d}}`, meta["progressToken"], i))
			}
			done(c, m)
		}),
		"tells its environment": onChildCall(func(c *Child, m Message) {
			env := os.Environ()
			slices.Sort(env)
			b, _ := json.Marshal(env)
			c.Print(m.result(`{"content":[],"structuredContent":{"env":` + string(b) + `,"pid":` + fmt.Sprint(os.Getpid()) + `}}`))
		}),
		"dies at once":           func(*Child) {},
		"dies when initialised":  func(c *Child) { c.Next() },
		"dies in mid call":       onChildCall(func(*Child, Message) { os.Exit(3) }),
		"dies after each answer": onChildCall(func(c *Child, m Message) { done(c, m); os.Exit(3) }),
		"never reads": func(*Child) {
			time.Sleep(time.Minute)
		},
		"stops reading": onChildCall(func(*Child, Message) { time.Sleep(time.Minute) }),
		"silent": func(c *Child) {
			for ok := true; ok; {
				_, ok = c.Next()
			}
		},
		"prints a banner": func(c *Child) {
			c.Print("\x1b[32mserver v1.0 is listening\x1b[0m\n\nready")
			c.serve(func(m Message) { done(c, m) })
		},
		"prints rubbish": func(c *Child) {
			for range 1000 {
				c.Print("rubbish " + repeat("x", 100))
			}
			time.Sleep(time.Minute)
		},
		"prints bytes":       func(c *Child) { c.Print("\x00\xff\xfe"); c.serve(func(m Message) { done(c, m) }) },
		"prints broken JSON": onChildCall(func(c *Child, m Message) { c.Print(`{"jsonrpc":"2.0","id":` + string(m.ID) + `,`) }),
		"prints a member twice": onChildCall(func(c *Child, m Message) {
			c.Print(m.result(`{"a":1,"a":2}`))
		}),
		"prints a line of 6 MB": onChildCall(func(c *Child, m Message) { c.Print(m.result(text(repeat("x", 6<<20)))) }),
		"prints a line without end": onChildCall(func(*Child, Message) {
			for {
				if _, err := io.WriteString(os.Stdout, repeat("{", 4096)); err != nil {
					os.Exit(0)
				}
			}
		}),
		"answers others first": onChildCall(func(c *Child, m Message) {
			c.Print(`{"jsonrpc":"2.0","id":999999,"result":{}}`)
			c.Print(`{"jsonrpc":"2.0","id":"x","error":{"code":1,"message":"x"}}`)
			done(c, m)
		}),
		"answers twice": onChildCall(func(c *Child, m Message) {
			c.Print(m.result(text("first")))
			c.Print(m.result(text("second")))
		}),
		"asks though modern": func(c *Child) {
			c.modern(func(Message) { c.Print(`{"jsonrpc":"2.0","id":1,"method":"roots/list"}`) })
		},
		"closes its output": onChildCall(func(*Child, Message) {
			_ = os.Stdout.Close()
			time.Sleep(time.Minute)
		}),
		"floods standard error": onChildCall(func(c *Child, m Message) {
			for range 200 {
				fmt.Fprint(os.Stderr, repeat("noise "+repeat("x", 50)+"\n", 200))
			}
			fmt.Fprint(os.Stderr, repeat("x", 1<<20))
			done(c, m)
		}),
		"floods messages": onChildCall(func(c *Child, m Message) {
			for range 3000 {
				c.Print(logMessage + "\n" + `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
			}
			done(c, m)
		}),
		"asks without end": onChildCall(func(c *Child, m Message) {
			for i := range 3000 {
				c.Print(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"sampling/createMessage","params":{"messages":[]}}`, i))
			}
			done(c, m)
		}),
		"leaves a grandchild": onChildCall(func(c *Child, m Message) {
			start(true)
			done(c, m)
			os.Exit(0)
		}),
		"ignores SIGTERM": func(c *Child) {
			signal.Ignore(syscall.SIGTERM)
			c.serve(func(m Message) { done(c, m) })
			time.Sleep(time.Minute)
		},
		"half a line": onChildCall(func(_ *Child, m Message) {
			_, _ = io.WriteString(os.Stdout, strings.TrimSuffix(m.result(text("half")), "}"))
			os.Exit(0)
		}),
	}
}
