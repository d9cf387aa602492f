package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse"
)

// shot is what the load generator is asked to do. It travels as flags, the report as JSON on standard output.
type shot struct {
	Addr, Path, Key string
	Era             string // legacy or modern
	Method          string // tools/call, tools/list, or initialize: open sessions and leave them
	Workers         int
	Warm, Window    time.Duration
	Count           int   // requests in all instead of a time; 0 means a time
	PIDs            []int // processes whose CPU is read at both ends of the window
}

func (s shot) args() []string {
	return []string{
		"load", "-addr", s.Addr, "-path", s.Path, "-key", s.Key, "-era", s.Era, "-method", s.Method, "-workers", strconv.Itoa(s.Workers),
		"-warm", s.Warm.String(), "-window", s.Window.String(), "-count", strconv.Itoa(s.Count), "-pids", strings.Trim(fmt.Sprint(s.PIDs), "[]"),
	}
}

// report is what came of a shot.
type report struct {
	Calls    int
	Wall     time.Duration
	P50, P99 time.Duration
	CPU      []time.Duration // of the shot's processes, in their order
	Own      time.Duration   // CPU of the load generator
	Others   float64         `json:"-"` // share of the processors that other programs took meanwhile
}

func runLoad(args []string) error {
	var s shot
	var pids string
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	f.StringVar(&s.Addr, "addr", "", "")
	f.StringVar(&s.Path, "path", "/", "")
	f.StringVar(&s.Key, "key", "", "")
	f.StringVar(&s.Era, "era", "legacy", "")
	f.StringVar(&s.Method, "method", "tools/call", "")
	f.IntVar(&s.Workers, "workers", 1, "")
	f.DurationVar(&s.Warm, "warm", 0, "")
	f.DurationVar(&s.Window, "window", time.Second, "")
	f.IntVar(&s.Count, "count", 0, "")
	f.StringVar(&pids, "pids", "", "")
	if err := f.Parse(args); err != nil {
		return err
	}
	for p := range strings.FieldsSeq(pids) {
		pid, err := strconv.Atoi(p)
		if err != nil {
			return err
		}
		s.PIDs = append(s.PIDs, pid)
	}
	r, err := s.fire()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// phases of a shot, told to the workers by one number.
const (
	warming int32 = iota
	counting
	over
)

// fire runs the workers, each with a connection and in the legacy era a session of its own. Any wrong answer is an error.
func (s shot) fire() (*report, error) {
	var phase atomic.Int32
	var left atomic.Int64
	left.Store(int64(s.Count))
	workers := make([]*worker, s.Workers)
	for i := range workers {
		w, err := s.connect(i)
		if err != nil {
			return nil, err
		}
		defer w.nc.Close()
		workers[i] = w
	}
	var wg sync.WaitGroup
	for _, w := range workers {
		wg.Go(func() {
			for {
				p := phase.Load()
				if p == over || s.Count > 0 && left.Add(-1) < 0 {
					return
				}
				start := time.Now()
				if w.err = w.once(); w.err != nil {
					return
				}
				if p == counting || s.Count > 0 {
					w.took = append(w.took, time.Since(start))
				}
			}
		})
	}
	r := &report{}
	if s.Count == 0 {
		time.Sleep(s.Warm)
	}
	before, err := cpuOf(append(s.PIDs, os.Getpid()))
	if err != nil {
		return nil, err
	}
	began := time.Now()
	phase.CompareAndSwap(warming, counting)
	if s.Count == 0 {
		time.Sleep(s.Window)
		phase.Store(over)
	} else {
		wg.Wait()
	}
	r.Wall = time.Since(began)
	after, err := cpuOf(append(s.PIDs, os.Getpid()))
	wg.Wait()
	var took []time.Duration
	for _, w := range workers {
		err = errors.Join(err, w.err)
		took = append(took, w.took...)
	}
	if err != nil || len(took) == 0 {
		return nil, fmt.Errorf("%s %s at %s%s: no good answer: %w", s.Era, s.Method, s.Addr, s.Path, err)
	}
	for i := range s.PIDs {
		r.CPU = append(r.CPU, after[i]-before[i])
	}
	r.Own = after[len(s.PIDs)] - before[len(s.PIDs)]
	slices.Sort(took)
	r.Calls, r.P50, r.P99 = len(took), took[len(took)/2], took[len(took)*99/100]
	return r, nil
}

// worker sends one request after the other on one connection.
type worker struct {
	nc   net.Conn
	msg  []byte // the whole request
	mark []byte // digits within msg that change with every request
	want []byte // what the answer must hold
	n    int
	buf  []byte
	took []time.Duration
	err  error
}

const digits = 10

func (s shot) connect(i int) (*worker, error) {
	nc, err := net.DialTimeout("tcp", s.Addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	w := &worker{nc: nc, buf: make([]byte, 64<<10), n: i * 1_000_000, took: make([]time.Duration, 0, 1<<16)}
	head := "POST " + s.Path + " HTTP/1.1\r\nHost: " + s.Addr + "\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
	if s.Key != "" {
		head += "Authorization: Bearer " + s.Key + "\r\n"
	}
	if s.Era == "modern" {
		head += "MCP-Protocol-Version: " + gatehouse.Revision20260728 + "\r\nMcp-Method: " + s.Method + "\r\n"
		meta := `"_meta":{"io.modelcontextprotocol/protocolVersion":"` + gatehouse.Revision20260728 + `","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}`
		if s.Method == "tools/call" {
			head += "Mcp-Name: echo\r\n"
		}
		return w, w.prepare(head, s.Method, meta)
	}
	initialize := `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"` + gatehouse.Revision20251125 + `","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`
	if s.Method == "initialize" {
		w.msg, w.want = request(head, initialize), []byte(`"protocolVersion"`)
		return w, nil
	}
	hd, _, err := w.exchange(request(head, initialize))
	if err != nil {
		return nil, err
	}
	head += "MCP-Protocol-Version: " + gatehouse.Revision20251125 + "\r\n"
	if id := field(hd, "Mcp-Session-Id: "); id != "" {
		head += "Mcp-Session-Id: " + id + "\r\n"
	}
	if _, _, err := w.exchange(request(head, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)); err != nil {
		return nil, err
	}
	return w, w.prepare(head, s.Method, "")
}

func (w *worker) prepare(head, method, meta string) error {
	zeros := strings.Repeat("0", digits)
	params := meta
	w.want = []byte(`"tools":[{`)
	if method == "tools/call" {
		if meta != "" {
			meta = "," + meta
		}
		params = `"name":"echo","arguments":{"message":"` + zeros + `"}` + meta
	}
	w.msg = request(head, `{"jsonrpc":"2.0","id":7,"method":"`+method+`","params":{`+params+`}}`)
	if i := bytes.Index(w.msg, []byte(zeros)); method == "tools/call" && i > 0 {
		w.mark = w.msg[i : i+digits]
		w.want = w.mark
	}
	return w.once()
}

func request(head, body string) []byte {
	return []byte(head + "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}

// once sends the request with its next number, and holds the answer against it.
func (w *worker) once() error {
	w.n++
	for i, n := len(w.mark)-1, w.n; i >= 0; i, n = i-1, n/10 {
		w.mark[i] = byte('0' + n%10)
	}
	_, body, err := w.exchange(w.msg)
	if err == nil && !bytes.Contains(body, w.want) {
		err = fmt.Errorf("the answer is %.300q, which has no %q", body, w.want)
	}
	return err
}

// exchange sends one request and reads its answer; both are good until the next.
func (w *worker) exchange(msg []byte) (head, body []byte, err error) {
	if _, err := w.nc.Write(msg); err != nil {
		return nil, nil, err
	}
	have, end := 0, -1
	for end < 0 {
		n, err := w.nc.Read(w.buf[have:])
		if err != nil {
			return nil, nil, err
		}
		have += n
		end = bytes.Index(w.buf[:have], []byte("\r\n\r\n"))
	}
	head = w.buf[:end+2]
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 20")) {
		return nil, nil, fmt.Errorf("the answer is %.300q", w.buf[:have])
	}
	end += 4
	size := 0
	if v := field(head, "Content-Length: "); v != "" {
		if size, err = strconv.Atoi(v); err != nil {
			return nil, nil, err
		}
	}
	if need := end + size; need > len(w.buf) {
		w.buf = append(w.buf, make([]byte, need-len(w.buf))...)
		head = w.buf[:end-2]
	}
	for have < end+size {
		n, err := w.nc.Read(w.buf[have:])
		if err != nil {
			return nil, nil, err
		}
		have += n
	}
	return head, w.buf[end : end+size], nil
}

func field(head []byte, name string) string {
	i := bytes.Index(head, []byte("\r\n"+name))
	if i < 0 {
		return ""
	}
	v := head[i+2+len(name):]
	return string(v[:bytes.IndexByte(v, '\r')])
}
