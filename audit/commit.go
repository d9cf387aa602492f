package audit

import (
	"context"
	"errors"
	"runtime"
	"time"

	"gatehouse"
)

const (
	maxBatch   = 4096                  // records of one commit
	noteDelay  = 10 * time.Millisecond // a record that nobody waits for is written by then
	gather     = time.Millisecond      // longest time a commit waits for company
	worthwhile = 50 * time.Microsecond // a commit that takes longer waits for company
	patience   = time.Second           // longest time a record waits for room
	keepBytes  = 1 << 20               // of a batch's memory, for the next one
)

// batch is records that are written and synced together. Whoever finds nobody at work does the work for all that have
// come so far; who comes meanwhile joins the next batch, and one of those takes the next turn. So no record is handed from
// goroutine to goroutine, and a caller on his own waits for the disk alone.
type batch struct {
	buf  []byte
	n    int
	last uint64        // number of the last record
	turn chan struct{} // gets one token when it is this batch's turn; nil unless somebody would take it
	done chan struct{} // closed once err is set; nil when nobody waits
	err  error
}

// ended is closed once b has been committed or has failed. l.mu is held.
func (b *batch) ended() <-chan struct{} {
	if b.done == nil {
		b.done = make(chan struct{})
	}
	return b.done
}

// write records r and returns when it is durable.
func (l *log) write(ctx context.Context, r *Record) error {
	l.mu.Lock()
	b, err := l.add(ctx, r)
	if err != nil {
		l.mu.Unlock()
		return err
	}
	if !l.busy {
		l.busy = true
		l.mu.Unlock()
		return l.lead(b)
	}
	if b.turn == nil {
		b.turn = make(chan struct{}, 1)
	}
	turn, ended := b.turn, b.ended()
	l.mu.Unlock()
	select {
	case <-ended:
		return b.err
	case <-turn:
		return l.lead(b)
	}
}

// Note implements Log.
func (l *log) Note(r *Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.add(context.Background(), r); err != nil {
		return err
	}
	l.later()
	return nil
}

// later sees to it that records nobody waits for are written too. l.mu is held.
func (l *log) later() {
	if !l.busy && !l.armed {
		l.armed = true
		l.timer.Reset(noteDelay)
	}
}

// flush leads a batch of records that nobody waits for.
func (l *log) flush() {
	l.mu.Lock()
	l.armed = false
	b := l.next
	if b == nil || l.busy {
		l.mu.Unlock()
		return
	}
	l.busy = true
	l.mu.Unlock()
	_ = l.lead(b) // every later record meets the fault
}

// add writes r into the next batch, waiting for room when it is full. l.mu is held.
func (l *log) add(ctx context.Context, r *Record) (*batch, error) {
	for l.dead == nil && l.next != nil && l.next.n >= maxBatch {
		if err := l.wait(ctx); err != nil {
			return nil, err
		}
	}
	if l.dead != nil {
		return nil, l.dead
	}
	if l.next == nil {
		if l.next = l.spare; l.next == nil {
			l.next = &batch{}
		}
		l.spare = nil
	}
	b := l.next
	l.seq++
	b.buf = appendRecord(b.buf, l.seq, r)
	b.n, b.last = b.n+1, l.seq
	return b, nil
}

// wait lets go of l.mu until the commit under way has ended, and so made room.
func (l *log) wait(ctx context.Context) error {
	b := l.run
	if b == nil { // the next one is about to run
		b = l.next
	}
	ended := b.ended()
	l.mu.Unlock()
	defer l.mu.Lock()
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return &gatehouse.Error{Code: "audit.unavailable", Msg: "the record is too slow: too many calls wait for it", Hint: "put audit.dir on a faster disk"}
	}
}

// lead commits b and passes the turn on. l.busy is set, and is this goroutine's until then. b is not its caller's afterwards.
func (l *log) lead(b *batch) error {
	began := time.Now()
	l.mu.Lock()
	// A sync that takes its time costs as much as many records. As long as letting others run brings some, it pays to wait;
	// where nothing else wants to run, nothing is waited for.
	for n := 0; l.slow && b.n > n && b.n < maxBatch && time.Since(began) < gather; {
		n = b.n
		l.mu.Unlock()
		runtime.Gosched()
		l.mu.Lock()
	}
	l.run, l.next = b, nil
	l.mu.Unlock()
	began = time.Now()
	err := l.commit(b)
	took := time.Since(began)

	l.mu.Lock()
	defer l.mu.Unlock()
	l.slow = took > worthwhile
	l.run, b.err = nil, err
	buf := b.buf[:0]
	if cap(buf) > keepBytes {
		buf = nil
	}
	if b.done != nil { // others still look at b
		close(b.done)
		b.buf = nil
		b = &batch{}
	}
	b.buf, b.n = buf, 0
	l.spare = b
	if err != nil {
		l.fail(err)
	}
	switch n := l.next; {
	case n == nil || l.dead != nil && l.dead != errClosed:
		l.rest()
	case n.turn != nil:
		n.turn <- struct{}{}
	default:
		l.rest()
		l.later()
	}
	return err
}

// rest says that nobody is at work. l.mu is held.
func (l *log) rest() {
	l.busy = false
	l.idle.Broadcast()
}

// fail ends the log: after a failed sync nothing on the descriptor can be trusted, so there is no second try. Those who
// joined the next batch get the same error. l.mu is held.
func (l *log) fail(err error) {
	l.dead = err
	if n := l.next; n != nil {
		l.next, n.err = nil, err
		if n.done != nil {
			close(n.done)
		}
	}
}

// commit makes b durable.
func (l *log) commit(b *batch) error {
	if _, err := l.f.Write(b.buf); err != nil {
		return unavailable(err)
	}
	if err := l.f.Sync(); err != nil {
		return unavailable(err)
	}
	if l.size += int64(len(b.buf)); l.size >= l.o.SegmentBytes {
		if err := l.open(b.last + 1); err != nil {
			return unavailable(err)
		}
	}
	return nil
}

var errClosed = unavailable(errors.New("the log is closed"))

// Close writes what is there and ends the log.
func (l *log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead == nil {
		l.dead = errClosed
	}
	l.timer.Stop()
	for l.busy {
		l.idle.Wait()
	}
	if b := l.next; b != nil {
		l.busy = true
		l.mu.Unlock()
		_ = l.lead(b) // l.dead tells
		l.mu.Lock()
	}
	if l.f == nil {
		return nil
	}
	err := l.f.Close()
	if l.f = nil; l.dead != errClosed {
		return nil // the fault that ended the log has been told to those who met it
	}
	return err
}
