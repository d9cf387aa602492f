// Package stdio serves one published server on standard input and output, a message a line, in both protocol eras. It
// opens no listener; access, record and everything else of the pipeline apply unchanged.
package stdio

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse"
	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/transport"
	"gatehouse/wire"
)

// Config is what a server on standard input and output is made of.
type Config struct {
	Gateway   transport.Gateway
	Server    string
	Principal *gatehouse.Principal
	Limits    config.Limits
	In        io.Reader
	Out       io.Writer
	Log       *slog.Logger
	Now       func() time.Time
}

// maxCalls bounds the calls in flight.
const maxCalls = 64

// lingering is how long calls in flight get after the end of input.
const lingering = 50 * time.Millisecond

type server struct {
	c     Config
	calls sync.WaitGroup
	slots chan struct{}

	write sync.Mutex

	mu        sync.Mutex
	client    gatehouse.Client // legacy, after initialize
	level     string
	began     chan struct{}                 // of the last initialize: closed when it has its answer; nil when there was none
	inFlight  map[string]context.CancelFunc // by id as written
	questions map[string]chan wire.Message
	asked     int
	stream    *gateway.Stream // legacy: events of the session
}

// Serve answers until the input ends or ctx does. Neither a client that reads nothing nor a call that does not end keeps
// it from seeing that.
func Serve(ctx context.Context, c Config) error {
	s := &server{c: c, slots: make(chan struct{}, maxCalls), inFlight: map[string]context.CancelFunc{}, questions: map[string]chan wire.Message{}}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := make(chan []byte, 16)
	failed := make(chan error, 1)
	go func() {
		defer close(lines)
		failed <- s.read(ctx, lines)
	}()
	taken := make(chan struct{})
	go func() {
		defer close(taken)
		for line := range lines {
			s.take(ctx, line)
		}
	}()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	s.finish(cancel, taken)
	if errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// finish lets answers that are ready out, then ends what still runs. A client that closed the input reads no more.
func (s *server) finish(cancel context.CancelFunc, taken <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		<-taken
		s.calls.Wait()
		close(done)
	}()
	t := time.NewTimer(lingering)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	}
	cancel()
	s.mu.Lock()
	stream := s.stream
	s.mu.Unlock()
	if stream != nil {
		go stream.Close()
	}
}

// read reads lines within the limit; one that is longer ends the connection, since nothing after it can be trusted.
func (s *server) read(ctx context.Context, out chan<- []byte) error {
	br := bufio.NewReaderSize(s.c.In, 64<<10)
	var buf []byte
	for {
		part, err := br.ReadSlice('\n')
		buf = append(buf, part...)
		if len(buf) > s.c.Limits.RequestBytes+1 {
			return &gatehouse.Error{Code: "stdio.line", Msg: fmt.Sprintf("a line of more than %d bytes on standard input", s.c.Limits.RequestBytes), Hint: "limits.requestBytes in the configuration sets it"}
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return err
		}
		line := append([]byte(nil), buf[:len(buf)-1]...)
		buf = buf[:0]
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		select {
		case out <- line:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *server) send(msg []byte) {
	line := wire.AppendLine(make([]byte, 0, len(msg)+1), msg)
	s.write.Lock()
	defer s.write.Unlock()
	_, _ = s.c.Out.Write(line)
}

func failure(id []byte, err error, callID string, era gatehouse.Era) []byte {
	e, _ := transport.RPC(err, callID, era)
	return wire.AppendError(nil, id, e)
}

// take handles one line.
func (s *server) take(ctx context.Context, line []byte) {
	l := wire.RequestLimits
	l.Bytes, l.Depth = s.c.Limits.RequestBytes, s.c.Limits.Depth
	m, err := wire.Parse(line, l)
	if err != nil {
		s.send(failure(m.ID, err, "", gatehouse.Modern))
		return
	}
	switch m.Kind {
	case wire.Response, wire.Failure:
		s.answer(m)
	case wire.Notification:
		s.notified(ctx, m)
	default:
		s.begin(ctx, m)
	}
}

// begin starts a request. Nothing here waits: the answers that calls in flight wait for come on the same input.
func (s *server) begin(ctx context.Context, m wire.Message) {
	select {
	case s.slots <- struct{}{}:
	default:
		s.send(failure(m.ID, &gatehouse.RPCError{Code: gatehouse.CodeInternal, Message: fmt.Sprintf("more than %d calls in flight; wait for answers first", maxCalls)}, "", gatehouse.Legacy))
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	_, dup := s.inFlight[string(m.ID)]
	if !dup {
		s.inFlight[string(m.ID)] = cancel
	}
	before := s.began
	var done chan struct{}
	if !dup && m.Method == "initialize" {
		done = make(chan struct{})
		s.began = done
	}
	s.mu.Unlock()
	if dup {
		cancel()
		<-s.slots
		s.send(failure(m.ID, &gatehouse.RPCError{Code: gatehouse.CodeInvalidRequest, Message: "Invalid request: a request with this id is in flight"}, "", gatehouse.Legacy))
		return
	}
	s.calls.Go(func() {
		if before != nil { // what follows an initialize depends on it
			select {
			case <-before:
			case <-ctx.Done():
			}
		}
		answer := s.request(ctx, m)
		s.mu.Lock()
		delete(s.inFlight, string(m.ID)) // before the answer: with it the client may use the id again
		s.mu.Unlock()
		if ctx.Err() == nil { // what was cancelled has no answer
			s.send(answer)
		}
		cancel()
		if done != nil {
			close(done)
		}
		<-s.slots
	})
}

func (s *server) answer(m wire.Message) {
	id, _ := wire.Text(m.ID)
	s.mu.Lock()
	ch := s.questions[id]
	delete(s.questions, id)
	s.mu.Unlock()
	if ch != nil {
		ch <- m
	}
}

func (s *server) notified(ctx context.Context, m wire.Message) {
	switch m.Method {
	case "notifications/cancelled":
		o, _ := wire.ParseObject(m.Params)
		s.mu.Lock()
		cancel := s.inFlight[string(o.Get("requestId"))]
		s.mu.Unlock()
		if cancel != nil {
			cancel()
		}
	case "notifications/roots/list_changed":
		s.c.Gateway.RootsChanged(ctx, s.c.Server, s.c.Principal)
	}
}

// request returns the answer to one request.
func (s *server) request(ctx context.Context, m wire.Message) []byte {
	s.mu.Lock()
	client, level := s.client, s.level
	s.mu.Unlock()
	modern := transport.Modern("", m.Params)
	era := gatehouse.Legacy
	if modern {
		era = gatehouse.Modern
	}
	if !modern && client.Era == 0 && m.Method != "initialize" && m.Method != "ping" {
		err := &gatehouse.RPCError{Code: gatehouse.CodeInvalidRequest, Message: "Invalid request: send initialize first, or speak 2026-07-28"}
		if m.Method == "server/discover" { // a probe without its metadata
			err = &gatehouse.RPCError{Code: gatehouse.CodeInvalidParams, Message: "Invalid params: _meta must carry " + transport.MetaRevision}
		}
		return failure(m.ID, err, "", era)
	}
	if !modern {
		client.Era = gatehouse.Legacy
	}
	p := &peer{s: s, ask: !modern}
	c, err := transport.Decode(m, modern, transport.Origin{Server: s.c.Server, Principal: s.c.Principal, Peer: p, Received: s.c.Now(), Client: client, LogLevel: level})
	if err != nil {
		return failure(m.ID, err, "", era)
	}
	if c.Method == "subscriptions/listen" {
		return s.listen(ctx, c, m.ID)
	}
	res, err := s.call(ctx, c)
	p.ended.Store(true)
	if err != nil {
		return failure(m.ID, err, c.ID, era)
	}
	return wire.AppendResult(nil, m.ID, transport.Render(c.Client.Revision, c.Method, res))
}

// call makes a call, or what only a legacy session has.
func (s *server) call(ctx context.Context, c *gatehouse.Call) (*gatehouse.Result, error) {
	empty := &gatehouse.Result{Raw: []byte("{}"), Final: true}
	switch c.Method {
	case "ping":
		return empty, nil
	case "initialize":
		if err := transport.DecodeInitialize(c); err != nil {
			return nil, err
		}
		res, err := s.c.Gateway.Call(ctx, c)
		if err == nil {
			err = s.follow(c)
		}
		if err == nil {
			s.mu.Lock()
			s.client = c.Client
			s.mu.Unlock()
		}
		return res, err
	case "logging/setLevel":
		s.mu.Lock()
		s.level = c.LogLevel
		s.mu.Unlock()
		return empty, nil
	case "resources/subscribe", "resources/unsubscribe":
		s.mu.Lock()
		stream := s.stream
		s.mu.Unlock()
		if c.Method == "resources/subscribe" {
			return empty, stream.Subscribe(ctx, c)
		}
		stream.Unsubscribe(c.Name)
		return empty, nil
	}
	return s.c.Gateway.Call(ctx, c)
}

// follow sends a legacy client what happens outside of its calls.
func (s *server) follow(c *gatehouse.Call) error {
	one := *c
	one.Method = "stream/open"
	stream, _, err := s.c.Gateway.Listen(context.Background(), &one, gateway.Want{Tools: true, Prompts: true, Resources: true, Messages: true})
	if err != nil {
		return err
	}
	s.mu.Lock()
	old := s.stream
	s.stream = stream
	s.mu.Unlock()
	if old != nil {
		old.Close()
	}
	go func() {
		for {
			method, params, err := stream.Next(context.Background())
			if err != nil {
				return
			}
			s.send(wire.AppendNotification(nil, method, params))
		}
	}()
	return nil
}

// listen serves one subscription of a modern client until it is cancelled or the gateway ends it, and returns its answer.
func (s *server) listen(ctx context.Context, c *gatehouse.Call, id []byte) []byte {
	want, err := transport.DecodeListen(c)
	if err != nil {
		return failure(id, err, c.ID, gatehouse.Modern)
	}
	stream, granted, err := s.c.Gateway.Listen(ctx, c, want)
	if err != nil {
		return failure(id, err, c.ID, gatehouse.Modern)
	}
	defer stream.Close()
	s.send(transport.Acknowledged(id, granted))
	for {
		method, params, err := stream.Next(ctx)
		if err != nil {
			if errors.Is(err, io.EOF) {
				s.send(wire.AppendNotification(nil, "notifications/cancelled", wire.Object{{Name: "requestId", Value: id}}.Bytes()))
			}
			return transport.ListenResult(id)
		}
		s.send(wire.AppendNotification(nil, method, transport.ListenParams(id, params)))
	}
}

// peer is the way back to the caller.
type peer struct {
	s     *server
	ask   bool
	ended atomic.Bool // the call has its result: nothing more belongs to it
}

// Notify implements gatehouse.Peer.
func (p *peer) Notify(_ context.Context, method string, params []byte) error {
	if !p.ended.Load() {
		p.s.send(wire.AppendNotification(nil, method, params))
	}
	return nil
}

// CanAsk implements gatehouse.Peer: a modern client is asked by results.
func (p *peer) CanAsk() bool { return p.ask }

// Ask implements gatehouse.Peer.
func (p *peer) Ask(ctx context.Context, method string, params []byte) ([]byte, error) {
	s := p.s
	ctx, cancel := context.WithTimeout(ctx, s.c.Limits.InputTimeout)
	defer cancel()
	ch := make(chan wire.Message, 1)
	s.mu.Lock()
	s.asked++
	id := "gatehouse-" + strconv.Itoa(s.asked)
	s.questions[id] = ch
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.questions, id)
		s.mu.Unlock()
	}()
	s.send(wire.AppendRequest(nil, wire.String(id), method, params))
	select {
	case m := <-ch:
		if m.Kind == wire.Failure {
			return nil, &gatehouse.RPCError{Code: m.Error.Code, Message: m.Error.Message, Data: m.Error.Data}
		}
		return m.Result, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
