package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gatehouse/internal/testenv"
)

func TestMain(m *testing.M) {
	testscript.Main(cleaning{m}, map[string]func(){"gatehouse": main})
}

type cleaning struct{ *testing.M }

func (c cleaning) Run() int {
	defer testenv.Clean()
	return c.M.Run()
}

// patience is how long a script waits for what must happen.
const patience = 20 * time.Second

// TestScript runs the scripts of testdata/script: the command line as people use it.
func TestScript(t *testing.T) {
	notes := testenv.Build(t, "./examples/quickstart/server")
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_GOLDEN") == "1",
		Setup: func(e *testscript.Env) error {
			e.Setenv("NOTES", notes)
			e.Setenv("GATEHOUSE_KEY", "")
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			e.Setenv("ADDR", l.Addr().String())
			return l.Close()
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits, "keep": keep, "listening": listening, "eventually": eventually, "signal": sendSignal, "subst": subst, "shows": shows, "launch": launch, "metric": metric, "converse": converse,
		},
	})
}

// exits CODE PROGRAM ARG… runs a program and holds its exit code to CODE.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code program args...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if ee, failed := err.(*exec.ExitError); failed {
		got = ee.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s exits %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// keep NAME REGEXP sets a variable to the first match in the last standard output.
func keep(ts *testscript.TestScript, _ bool, args []string) {
	m := regexp.MustCompile(args[1]).FindString(ts.ReadFile("stdout"))
	if m == "" {
		ts.Fatalf("no %s on standard output", args[1])
	}
	ts.Setenv(args[0], m)
}

// listening ADDR waits until something listens.
func listening(ts *testscript.TestScript, _ bool, args []string) {
	waitFor(ts, "listener on "+args[0], func() bool {
		c, err := net.DialTimeout("tcp", args[0], time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// eventually REGEXP PROGRAM ARG… runs a program until what it prints matches.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	re := regexp.MustCompile(args[0])
	var last string
	defer func() { ts.Logf("it last said: %s", last) }()
	waitFor(ts, strings.Join(args, " "), func() bool {
		_ = ts.Exec(args[1], args[2:]...)
		last = ts.ReadFile("stdout") + ts.ReadFile("stderr")
		return re.MatchString(last) != neg
	})
}

// launch PROGRAM ARG… starts a program whose messages go to the file log, until the script ends.
func launch(ts *testscript.TestScript, _ bool, args []string) {
	path, err := exec.LookPath(args[0])
	ts.Check(err)
	log, err := os.Create(ts.MkAbs("log"))
	ts.Check(err)
	cmd := exec.Command(path, args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = ts.Getenv("WORK"), log, log
	ts.Check(errors.Join(cmd.Start(), log.Close()))
	ts.Setenv("LAUNCHED", strconv.Itoa(cmd.Process.Pid))
	ts.Defer(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		stop := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer stop.Stop()
		ts.Check(cmd.Wait())
	})
}

// shows REGEXP waits until the launched program has printed what matches.
func shows(ts *testscript.TestScript, _ bool, args []string) {
	re := regexp.MustCompile("(?m)" + args[0])
	waitFor(ts, args[0], func() bool { return re.MatchString(ts.ReadFile("log")) })
}

// metric REGEXP waits until a line of the metrics matches.
func metric(ts *testscript.TestScript, _ bool, args []string) {
	re := regexp.MustCompile("(?m)^" + args[0])
	waitFor(ts, args[0], func() bool {
		res, err := http.Get("http://" + ts.Getenv("ADDR") + "/metrics")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return err == nil && re.Match(b)
	})
}

// converse FILE ANSWERS PROGRAM ARG… sends the lines of a file to a program, waits for as many answers, which are left in the
// file answers, ends its input, and wants it to end soon.
func converse(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	path, err := exec.LookPath(args[2])
	ts.Check(err)
	cmd := exec.Command(path, args[3:]...)
	cmd.Dir = ts.Getenv("WORK")
	in, err := cmd.StdinPipe()
	ts.Check(err)
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	stop := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer stop.Stop()
	_, err = io.WriteString(in, ts.ReadFile(args[0]))
	ts.Check(err)
	var answers strings.Builder
	lines := bufio.NewScanner(out)
	for n := 0; n < want && lines.Scan(); {
		answers.Write(append(lines.Bytes(), '\n'))
		if strings.Contains(lines.Text(), `"result":`) || strings.Contains(lines.Text(), `"error":`) {
			n++
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs("answers"), []byte(answers.String()), 0o600))
	ended := time.Now()
	ts.Check(in.Close())
	_, err = io.Copy(io.Discard, out)
	ts.Check(errors.Join(err, cmd.Wait()))
	if d := time.Since(ended); d > 2*time.Second { // 100 ms are promised; the machine may be busy
		ts.Fatalf("%s ends %v after its input", strings.Join(args[2:], " "), d)
	}
}

func waitFor(ts *testscript.TestScript, what string, done func() bool) {
	end := time.Now().Add(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		if time.Now().After(end) {
			ts.Fatalf("waited %v for %s", patience, what)
		}
		<-tick.C
	}
}

// signal NAME sends SIGHUP or SIGTERM to the programs in the background.
func sendSignal(ts *testscript.TestScript, _ bool, args []string) {
	sig := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM}[args[0]]
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(sig))
	}
	if pid, err := strconv.Atoi(ts.Getenv("LAUNCHED")); err == nil {
		ts.Check(syscall.Kill(pid, sig))
	}
}

// subst FILE… replaces ${NAME} of the script's own variables in files.
func subst(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		path := ts.MkAbs(name)
		b := []byte(ts.ReadFile(name))
		for _, v := range []string{"NOTES", "ADDR", "WORK"} {
			b = bytes.ReplaceAll(b, []byte("{"+v+"}"), []byte(filepath.ToSlash(ts.Getenv(v))))
		}
		ts.Check(os.WriteFile(path, b, 0o600))
	}
}
