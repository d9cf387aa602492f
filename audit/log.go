package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"sync"
	"time"

	"gatehouse"
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

// log is JSON lines in files record-<time>-<seq>.jsonl, committed in groups (commit.go).
type log struct {
	dir string
	o   Options

	mu    sync.Mutex // guards what follows
	dead  error      // why nothing can be recorded any more
	seq   uint64
	next  *batch      // takes records; nil when there are none
	run   *batch      // is being committed; nil when none is
	spare *batch      // one that is over, to be used again; may be nil
	busy  bool        // somebody leads a batch, or has been told to
	slow  bool        // the last commit took long
	idle  *sync.Cond  // busy has become false
	timer *time.Timer // flush
	armed bool        // timer is running

	f    file // f and size belong to whoever leads, or once busy is false to Close
	size int64
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
	l := &log{dir: dir, o: o}
	l.idle = sync.NewCond(&l.mu)
	l.timer = time.AfterFunc(time.Hour, l.flush)
	l.timer.Stop()
	var err error
	if l.seq, err = lastSeq(dir); err != nil {
		return nil, unavailable(err)
	}
	if err := l.open(l.seq + 1); err != nil {
		return nil, unavailable(err)
	}
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

// open begins a new file, whose first record is seq.
func (l *log) open(seq uint64) error {
	if l.f != nil {
		if err := l.f.Close(); err != nil {
			return err
		}
	}
	stamp := l.o.Now().UTC().Format("20060102T150405Z")
	name := func(again string) string {
		return filepath.Join(l.dir, fmt.Sprintf("record-%s%s-%020d.jsonl", stamp, again, seq))
	}
	f, err := l.o.create(name(""))
	for n := 1; errors.Is(err, os.ErrExist) && n < 1000; n++ { // opened before in this second, and nothing was recorded
		f, err = l.o.create(name("." + strconv.Itoa(n)))
	}
	if err != nil {
		return err
	}
	l.f, l.size = f, 0
	return nil
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
