package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of times in /proc/PID/stat (USER_HZ, which Linux fixes at 100 for programs).
const tick = 10 * time.Millisecond

// cpuOf reads the time the processes have spent on a processor, in user and kernel mode, all threads and past ones.
func cpuOf(pids []int) ([]time.Duration, error) {
	out := make([]time.Duration, 0, len(pids))
	for _, pid := range pids {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			return nil, err
		}
		_, rest, _ := bytes.Cut(b, []byte(") ")) // the name before may hold blanks
		f := bytes.Fields(rest)
		if len(f) < 13 {
			return nil, fmt.Errorf("/proc/%d/stat is cut short", pid)
		}
		user, err1 := strconv.ParseInt(string(f[11]), 10, 64)
		kernel, err2 := strconv.ParseInt(string(f[12]), 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		out = append(out, time.Duration(user+kernel)*tick)
	}
	return out, nil
}

// busy reads the time all processors have been at work since the machine started.
func busy() (time.Duration, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	var sum int64
	for i, f := range bytes.Fields(line) {
		if i == 0 || i == 4 || i == 5 { // "cpu", idle, waiting for a disk
			continue
		}
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return time.Duration(sum) * tick, nil
}

// memory is what a process holds, in kB as /proc/PID/status says it.
type memory struct{ rss, anon, threads int }

func memoryOf(pid int) (m memory, err error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return m, err
	}
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(line, ":")
		to := map[string]*int{"VmRSS": &m.rss, "RssAnon": &m.anon, "Threads": &m.threads}[name]
		if to == nil {
			continue
		}
		if *to, err = strconv.Atoi(strings.Fields(value)[0]); err != nil {
			return m, err
		}
	}
	return m, nil
}

// process is a program that runs beside the measurement.
type process struct {
	cmd  *exec.Cmd
	addr string
	out  bytes.Buffer // read it once the process has ended
	done chan struct{}
}

// start runs a program and waits until it listens on addr. took is the time from before its exec to the first accepted
// connection.
func start(ctx context.Context, addr, name string, args ...string) (p *process, took time.Duration, err error) {
	p = &process{cmd: exec.Command(name, args...), addr: addr, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, 0, err
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	poll := time.NewTicker(500 * time.Microsecond)
	defer poll.Stop()
	late := time.NewTimer(10 * time.Second)
	defer late.Stop()
	for {
		if c, err := net.Dial("tcp", addr); err == nil {
			took = time.Since(began)
			return p, took, c.Close()
		}
		select {
		case <-poll.C:
			continue
		case <-p.done:
			return nil, 0, fmt.Errorf("%s %s ended before it listened:\n%s", name, strings.Join(args, " "), p.out.String())
		case <-ctx.Done():
			err = ctx.Err()
		case <-late.C:
			err = fmt.Errorf("%s does not listen on %s", name, addr)
		}
		p.stop()
		return nil, 0, err
	}
}

// stop ends the process and returns what it cost.
func (p *process) stop() *os.ProcessState {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	return p.cmd.ProcessState
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
