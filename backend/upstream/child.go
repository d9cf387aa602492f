package upstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"time"

	"gatehouse/wire"
)

// Bounds of a child.
const (
	maxLogLine = 8 << 10
	logLines   = 50                     // a second
	maxRubbish = 100                    // lines on its standard output that are no messages
	lastWords  = 200 * time.Millisecond // to read what it wrote before it ended
)

// errDied is the cause of what a process that ended leaves undone.
var errDied = errors.New("the process has ended")

// child carries one process: a message a line.
type child struct {
	src   *source
	cmd   *exec.Cmd
	in    *os.File
	began time.Time
	gone  chan struct{} // closed once the process has ended
	once  sync.Once     // counts its end

	turn  chan struct{} // held by the one that writes
	stuck time.Time     // since when nothing could be written; zero when the last message went out; belongs to turn
}

// live looks after the process until it has ended and all that it wrote is read.
func (c *child) live(ss *session, out, errs *os.File) {
	var wg sync.WaitGroup
	wg.Go(func() {
		<-ss.ctx.Done()
		c.end()
	})
	heard := make(chan struct{})
	go func() {
		var wg sync.WaitGroup
		wg.Go(func() { ss.die(c.read(ss, out)) })
		wg.Go(func() { c.src.logLines(ss.ctx, errs) })
		wg.Wait()
		close(heard)
	}()
	_ = c.cmd.Wait()
	killGroup(c.cmd) // whatever it left behind
	close(c.gone)
	c.failed(ss)
	t := time.NewTimer(lastWords)
	defer t.Stop()
	select {
	case <-heard:
	case <-t.C: // a process that left the group holds the pipe
	}
	ss.die(c.died(errors.New(c.cmd.ProcessState.String())))
	closeAll(c.in, out, errs)
	<-heard
	wg.Wait()
}

// failed counts the end of a process that nobody wanted to end.
func (c *child) failed(ss *session) {
	ss.mu.Lock()
	wanted := ss.closing
	ss.mu.Unlock()
	if !wanted && c.src.life.Err() == nil {
		c.once.Do(func() { c.src.again.ended(ss.key, c.began) })
	}
}

func (c *child) died(cause error) error {
	return c.src.fault(codeUnavailable, "ended its process", "see its messages in the log of Gatehouse", errors.Join(errDied, cause))
}

// read hands the child's messages to the session until the child ends or sends a message that is not acceptable. Lines
// that cannot be messages are passed over: a banner on standard output is a common mistake.
func (c *child) read(ss *session, out io.Reader) error {
	br := bufio.NewReaderSize(out, 64<<10)
	var p pace
	for rubbish := 0; ; {
		line, err := readLine(br, c.src.limits.Bytes)
		if err != nil {
			if err == io.EOF || errors.Is(err, os.ErrClosed) {
				return c.died(err)
			}
			return err
		}
		text := bytes.TrimSpace(line)
		if len(text) == 0 {
			continue
		}
		if text[0] != '{' && text[0] != '[' {
			if rubbish++; rubbish > maxRubbish {
				return c.src.protocol("prints what is no message on its standard output", nil)
			}
			c.src.log.LogAttrs(ss.ctx, slog.LevelWarn, "upstream printed what is no message on its standard output", slog.String("line", clip(string(text))))
			continue
		}
		m, err := wire.Parse(line, c.src.limits)
		if err != nil {
			return err
		}
		if err := ss.handle(m, nil); err != nil {
			return err
		}
		if m.Kind == wire.Notification && !p.wait(ss.ctx) {
			return context.Cause(ss.ctx)
		}
	}
}

// readLine returns a line of its own memory, at most most bytes long.
func readLine(br *bufio.Reader, most int) ([]byte, error) {
	var line []byte
	for {
		part, err := br.ReadSlice('\n')
		if len(line)+len(part) > most+1 {
			return nil, &wire.Error{Code: "wire.too_large", Offset: -1, Msg: fmt.Sprintf("a line over %d bytes", most), Parse: true}
		}
		line = append(line, part...)
		switch err {
		case nil:
			return bytes.TrimRight(line, "\r\n"), nil
		case bufio.ErrBufferFull:
			continue
		}
		return nil, err
	}
}

// logLines writes what a child says on standard error to the log, within bounds.
func (s *source) logLines(ctx context.Context, r io.Reader) {
	br := bufio.NewReaderSize(r, maxLogLine)
	var window time.Time
	n, left := 0, 0
	for {
		line, err := br.ReadSlice('\n')
		long := err == bufio.ErrBufferFull
		text := string(bytes.TrimRight(line, "\r\n"))
		for err == bufio.ErrBufferFull {
			_, err = br.ReadSlice('\n')
		}
		if now := time.Now(); now.Sub(window) >= time.Second {
			if left > 0 {
				s.log.LogAttrs(ctx, slog.LevelInfo, "upstream messages left out", slog.Int("lines", left))
			}
			window, n, left = now, 0, 0
		}
		if text != "" {
			if n++; n <= logLines {
				s.log.LogAttrs(ctx, slog.LevelInfo, "upstream message", slog.String("line", text), slog.Bool("cut", long))
			} else {
				left++
			}
		}
		if err != nil {
			return
		}
	}
}

func (c *child) exchange(ctx context.Context, ss *session, r *run, msg []byte) error {
	if err := c.send(ctx, ss, msg); err != nil {
		return err
	}
	return waitFor(ctx, ss, r)
}

// send writes one message. A process that does not read its input for too long is let go.
func (c *child) send(ctx context.Context, ss *session, msg []byte) error {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-ss.ctx.Done():
	}
	if !ss.alive() {
		return context.Cause(ss.ctx)
	}
	line := wire.AppendLine(make([]byte, 0, len(msg)+1), msg)
	now := time.Now()
	_ = c.in.SetWriteDeadline(now.Add(c.src.b.write))
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = c.in.SetWriteDeadline(time.Now())
		close(woken)
	})
	n, err := c.in.Write(line)
	if !stop() {
		<-woken
	}
	if err == nil {
		c.stuck = time.Time{}
		return nil
	}
	if c.stuck.IsZero() {
		c.stuck = now
	}
	if n == 0 && ctx.Err() != nil && time.Since(c.stuck) < c.src.b.write {
		return context.Cause(ctx)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = c.src.fault(codeTimeout, "does not read its standard input", "look at its messages in the log; it is started again for the next call", err)
	} else {
		err = c.died(err)
	}
	ss.end(err) // half a line may have gone out
	return err
}

func (c *child) listen(ctx context.Context, ss *session) error {
	select {
	case <-ctx.Done():
	case <-ss.ctx.Done():
	}
	return errors.Join(errBroken, context.Cause(ss.ctx))
}

func (c *child) close(*session) { c.end() }

// end lets the child go: its input is closed, then it is asked, then it is killed, with all of its group.
func (c *child) end() {
	_ = c.in.Close()
	for _, step := range []func(*exec.Cmd){nil, termGroup, killGroup} {
		if step != nil {
			step(c.cmd)
		}
		t := time.NewTimer(c.src.b.stage)
		select {
		case <-c.gone:
			t.Stop()
			return
		case <-t.C:
		}
	}
}
