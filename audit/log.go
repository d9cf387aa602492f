package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"sync"
	"time"

	"gatehouse"
	"gatehouse/wire"
)

// Options of Open. Zero values are defaults.
type Options struct {
	SegmentBytes int64            // a new file is begun after as many bytes; 256 MiB
	Now          func() time.Time // time.Now
	create       func(path string) (file, error)
}

// file is what the log needs of a file; a test replaces it with one that fails.
type file interface {
	Write(b []byte) (int, error)
	Sync() error
	Close() error
}

const (
	maxBatch = 4096 // records of one commit
	maxQueue = 8192 // records that wait for one
)

// log is JSON lines in files record-<time>-<seq>.jsonl. One goroutine writes: a batch is what queued while the one
// before was synced.
type log struct {
	dir  string
	o    Options
	in   chan item
	quit chan struct{}
	done chan struct{}

	mu   sync.Mutex
	dead error // why nothing can be recorded any more

	seq  uint64
	f    file
	size int64
}

// item is one record to write, and who waits for it.
type item struct {
	rec  *Record
	wait chan error // nil when nobody does
}

// Open begins a new file in dir, which is made when missing. Earlier files are left as they are.
func Open(dir string, o Options) (Log, error) {
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 256 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.create == nil {
		o.create = create
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, unavailable(err)
	}
	l := &log{dir: dir, o: o, in: make(chan item, maxQueue), quit: make(chan struct{}), done: make(chan struct{})}
	var err error
	if l.seq, err = lastSeq(dir); err != nil {
		return nil, unavailable(err)
	}
	if err := l.next(); err != nil {
		return nil, unavailable(err)
	}
	go l.run()
	return l, nil
}

func create(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	d, err := os.Open(filepath.Dir(path)) // the name must survive a crash as well
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return dataFile{f}, errors.Join(d.Sync(), d.Close())
}

// dataFile syncs the data of a file that only grows.
type dataFile struct{ *os.File }

func (f dataFile) Sync() error { return fdatasync(f.File) }

func unavailable(err error) *gatehouse.Error {
	return &gatehouse.Error{
		Code: "audit.unavailable", Msg: "the record cannot be written, so no call is made", Err: err,
		Hint: "look at the space and the permissions of the record's folder (audit.dir), then restart",
	}
}

// next begins a new file.
func (l *log) next() error {
	if l.f != nil {
		if err := l.f.Close(); err != nil {
			return err
		}
	}
	name := fmt.Sprintf("record-%s-%020d.jsonl", l.o.Now().UTC().Format("20060102T150405Z"), l.seq+1)
	f, err := l.o.create(filepath.Join(l.dir, name))
	if err != nil {
		return err
	}
	l.f, l.size = f, 0
	return nil
}

// run writes batches until the log is closed or a write fails. After a failed sync nothing on the descriptor can be
// trusted, so there is no second try.
func (l *log) run() {
	defer close(l.done)
	var batch []item
	var buf []byte
	for {
		batch = batch[:0]
		select {
		case it := <-l.in:
			batch = append(batch, it)
		case <-l.quit:
			select {
			case it := <-l.in:
				batch = append(batch, it)
			default:
				l.fail(errors.New("the log is closed"))
				_ = l.f.Close()
				return
			}
		}
	fill:
		for len(batch) < maxBatch {
			select {
			case it := <-l.in:
				batch = append(batch, it)
			default:
				break fill
			}
		}
		buf = buf[:0]
		for _, it := range batch {
			l.seq++
			buf = appendRecord(buf, l.seq, it.rec)
		}
		err := l.commit(buf)
		for _, it := range batch {
			if it.wait != nil {
				it.wait <- err
			}
		}
		if err != nil {
			l.fail(err)
			l.refuseRest()
			return
		}
		if cap(buf) > 1<<20 {
			buf = nil
		}
	}
}

func (l *log) commit(b []byte) error {
	if _, err := l.f.Write(b); err != nil {
		return unavailable(err)
	}
	if err := l.f.Sync(); err != nil {
		return unavailable(err)
	}
	if l.size += int64(len(b)); l.size >= l.o.SegmentBytes {
		if err := l.next(); err != nil {
			return unavailable(err)
		}
	}
	return nil
}

func (l *log) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead == nil {
		l.dead = err
	}
}

// refuseRest answers those who queued before they could see that the log has died, until it is closed.
func (l *log) refuseRest() {
	for {
		select {
		case it := <-l.in:
			if it.wait != nil {
				it.wait <- l.failed()
			}
		case <-l.quit:
			return
		}
	}
}

func (l *log) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}

func (l *log) put(ctx context.Context, it item) error {
	if err := l.failed(); err != nil {
		return err
	}
	select {
	case l.in <- it:
		return nil
	default:
	}
	t := time.NewTimer(time.Second) // the queue is full: the disk is slow, not the caller
	defer t.Stop()
	select {
	case l.in <- it:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-l.done:
	case <-t.C:
	}
	return &gatehouse.Error{Code: "audit.unavailable", Msg: "the record is too slow: too many calls wait for it", Hint: "put audit.dir on a faster disk"}
}

var waits = sync.Pool{New: func() any { return make(chan error, 1) }}

// write queues a record and waits until it is durable.
func (l *log) write(ctx context.Context, r *Record) error {
	wait := waits.Get().(chan error)
	if err := l.put(ctx, item{r, wait}); err != nil {
		return err
	}
	select {
	case err := <-wait:
		waits.Put(wait)
		return err
	case <-l.done:
		select {
		case err := <-wait:
			return err
		default:
			return unavailable(errors.New("the log is closed"))
		}
	}
}

// Begin implements Log.
func (l *log) Begin(ctx context.Context, c *gatehouse.Call, d Decision) (Entry, error) {
	r := &Record{
		Time: l.o.Now(), Kind: "intent", Call: c.ID, Server: c.Server, Upstream: c.Target.Source, Method: c.Method, Name: c.Name,
		Era: c.Client.Era.String(), Revision: c.Client.Revision, Session: c.Client.Session, Client: c.Client.Name, Decision: d,
	}
	if c.Client.Version != "" {
		r.Client += " " + c.Client.Version
	}
	if p := c.Principal; p != nil {
		r.Principal, r.PrincKind, r.Token = p.ID, string(p.Kind), p.Token
		if p.Source.IsValid() {
			r.Source = p.Source.String()
		}
	}
	if t := c.Target.Tool; t != nil {
		r.Risk = string(t.Risk)
	}
	if c.Arguments != nil {
		digest, err := ArgDigest(c.Arguments)
		if err != nil {
			return nil, unavailable(err)
		}
		r.ArgDigest = digest
	}
	return &entry{l: l, call: c.ID, server: c.Server, method: c.Method, name: c.Name, principal: r.Principal}, l.write(ctx, r)
}

// ArgDigest is SHA-256, in hex, over the canonical form of {"typ":"gatehouse/arguments/v1","arguments":…}.
func ArgDigest(args []byte) (string, error) {
	b, err := wire.Canonical(append(append([]byte(`{"arguments":`), args...), `,"typ":"gatehouse/arguments/v1"}`...))
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// Note implements Log.
func (l *log) Note(r *Record) error { return l.put(context.Background(), item{rec: r}) }

// Close writes what is queued and ends the log.
func (l *log) Close() error {
	select {
	case <-l.quit:
	default:
		close(l.quit)
	}
	<-l.done
	return nil
}

type entry struct {
	l                                     *log
	call, server, method, name, principal string
}

// End implements Entry: it returns once the outcome is durable.
func (e *entry) End(ctx context.Context, o Outcome) error {
	return e.l.write(ctx, &Record{
		Time: e.l.o.Now(), Kind: "outcome", Call: e.call, Server: e.server, Method: e.method, Name: e.name, Principal: e.principal,
		Outcome: o.Kind, IsError: o.IsError, RPCError: o.RPCError, Code: o.Code, BytesOut: o.BytesOut, DurUs: int64(o.Duration / time.Microsecond),
	})
}

// appendRecord writes one line. Every field of Record is here, in its order; TestRecordHasAllFields holds it to that.
func appendRecord(b []byte, seq uint64, r *Record) []byte {
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, `,"time":"`...)
	b = r.Time.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","kind":`...)
	b = wire.AppendString(b, r.Kind)
	text := func(name, v string) {
		if v != "" {
			b = append(append(append(b, `,"`...), name...), `":`...)
			b = wire.AppendString(b, v)
		}
	}
	number := func(name string, v int64) {
		if v != 0 {
			b = append(append(append(b, `,"`...), name...), `":`...)
			b = strconv.AppendInt(b, v, 10)
		}
	}
	text("call", r.Call)
	text("principal", r.Principal)
	text("principal_kind", r.PrincKind)
	text("token", r.Token)
	text("source", r.Source)
	text("client", r.Client)
	text("era", r.Era)
	text("revision", r.Revision)
	text("session", r.Session)
	text("server", r.Server)
	text("upstream", r.Upstream)
	text("method", r.Method)
	text("name", r.Name)
	text("risk", r.Risk)
	text("arg_digest", r.ArgDigest)
	text("decision", r.Answer)
	text("rule", r.Rule)
	text("reason", r.Reason)
	text("outcome", r.Outcome)
	if r.IsError {
		b = append(b, `,"is_error":true`...)
	}
	number("rpc_error", r.RPCError)
	text("code", r.Code)
	number("bytes_out", int64(r.BytesOut))
	number("dur_us", r.DurUs)
	text("detail", r.Detail)
	return append(b, "}\n"...)
}

// segments are the record's files in their order.
func segments(dir string) ([]string, error) {
	all, err := filepath.Glob(filepath.Join(dir, "record-*.jsonl"))
	seq := func(p string) string { return p[max(0, len(p)-len("00000000000000000000.jsonl")):] }
	sort.Slice(all, func(i, j int) bool { return seq(all[i]) < seq(all[j]) || seq(all[i]) == seq(all[j]) && all[i] < all[j] })
	return all, err
}

// lastSeq is the number of the last whole record in dir, 0 when there is none.
func lastSeq(dir string) (last uint64, err error) {
	files, err := segments(dir)
	if err != nil || len(files) == 0 {
		return 0, err
	}
	for i := len(files) - 1; i >= 0 && last == 0; i-- {
		if err := readSegment(files[i], func(r Record) error { last = r.Seq; return nil }); err != nil {
			return 0, err
		}
	}
	return last, nil
}
