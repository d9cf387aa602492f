package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse"
)

func call(name string) *gatehouse.Call {
	return &gatehouse.Call{
		ID: "c_1", Server: "s", Method: "tools/call", Name: name, Arguments: []byte(`{"b":9007199254740993,"a":"x"}`),
		Principal: &gatehouse.Principal{ID: "key:a", Kind: gatehouse.Key, Token: "k1"}, Target: gatehouse.Target{Source: "1", Tool: &gatehouse.Tool{Risk: gatehouse.Write}},
	}
}

func records(t *testing.T, dir string) (out []Record) {
	t.Helper()
	if err := Read(dir, func(r Record) error { out = append(out, r); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestIntentAndOutcome(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := l.Begin(t.Context(), call("evil\"\n\u2028name"), Decision{Answer: "allow", Rule: "r"})
	if err != nil {
		t.Fatal(err)
	}
	if got := records(t, dir); len(got) != 1 || got[0].Kind != "intent" { // durable before Begin returns
		t.Fatalf("after Begin: %+v", got)
	}
	if err := e.End(t.Context(), Outcome{Kind: "complete", BytesOut: 5, Duration: time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	if err := l.Note(&Record{Kind: "auth", Code: "auth.invalid"}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got := records(t, dir)
	if len(got) != 3 || got[0].Name != "evil\"\n\u2028name" || got[0].Answer != "allow" || got[0].Risk != "write" || got[1].DurUs != 1000 || got[2].Seq != 3 {
		t.Errorf("record = %+v", got)
	}
	same, _ := ArgDigest([]byte(`{ "a":"x", "b":9007199254740993 }`))
	other, _ := ArgDigest([]byte(`{"a":"x","b":9007199254740992}`))
	if got[0].ArgDigest != same || same == other {
		t.Errorf("digests: %s, %s, %s", got[0].ArgDigest, same, other)
	}
	if err := l.Note(&Record{}); err == nil {
		t.Error("a closed log takes records")
	}
	l, err = Open(dir, Options{}) // numbers go on
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Note(&Record{Kind: "note"})
	_ = l.Close()
	if got := records(t, dir); got[3].Seq != 4 {
		t.Errorf("after reopening: %+v", got[3])
	}
}

func TestTornLineIsPassedOver(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "record-20260101T000000Z-00000000000000000001.jsonl"), []byte(`{"seq":1,"time":"2026-01-01T00:00:00Z","kind":"note"}`+"\n"+`{"seq":2,"ti`), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Note(&Record{Kind: "note"})
	_ = l.Close()
	if got := records(t, dir); len(got) != 2 || got[1].Seq != 2 {
		t.Errorf("records = %+v", got)
	}
}

func TestManyWriters(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(dir, Options{SegmentBytes: 20 << 10}) // several files
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range 32 {
		wg.Go(func() {
			for i := range 20 {
				e, err := l.Begin(t.Context(), call(fmt.Sprintf("%d-%d", w, i)), Decision{})
				if err != nil {
					t.Error(err)
					return
				}
				if err := e.End(t.Context(), Outcome{Kind: "complete"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	_ = l.Close()
	open := map[string]bool{}
	got := records(t, dir)
	for i, r := range got {
		if r.Seq != uint64(i+1) {
			t.Fatalf("record %d has number %d", i+1, r.Seq)
		}
		if r.Kind == "intent" {
			open[r.Name] = true
		} else if !open[r.Name] {
			t.Fatalf("outcome of %s before its intent", r.Name)
		}
	}
	if len(got) != 32*20*2 {
		t.Errorf("%d records, want %d", len(got), 32*20*2)
	}
}

// sick is a file whose sync fails.
type sick struct{ file }

func (sick) Sync() error { return errors.New("no space left on device") }

func TestFailedSyncStopsCalls(t *testing.T) {
	l, err := Open(t.TempDir(), Options{create: func(p string) (file, error) {
		f, err := create(p)
		return sick{f}, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // the first meets the fault, the others its consequence
		_, err = l.Begin(t.Context(), call("t"), Decision{})
		if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code != "audit.unavailable" {
			t.Errorf("Begin = %v, want audit.unavailable", err)
		}
	}
	_ = l.Close()
}

// TestNoteIsWritten: a record that nobody waits for is written soon, without another to push it.
func TestNoteIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		l, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for want := 1; want <= 4; want += 2 { // the second round needs the timer armed again
			for range 2 {
				if err := l.Note(&Record{Kind: "note"}); err != nil {
					t.Fatal(err)
				}
			}
			if got := records(t, dir); len(got) != want-1 {
				t.Errorf("%d records at once, want %d", len(got), want-1)
			}
			time.Sleep(noteDelay)
			synctest.Wait()
			if got := records(t, dir); len(got) != want+1 {
				t.Errorf("%d records after %s, want %d", len(got), noteDelay, want+1)
			}
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// slow is a file whose sync takes as long as the test wants.
type slow struct {
	file
	let chan error
}

func (s slow) Sync() error { return <-s.let }

// TestSlowDisk: who comes during a sync shares the next one, what waits is bounded, and a fault reaches all who wait.
func TestSlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		let := make(chan error)
		l, err := Open(t.TempDir(), Options{create: func(p string) (file, error) {
			f, err := create(p)
			return slow{f, let}, err
		}})
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan error, 10)
		begin := func(n int) {
			for range n {
				go func() { _, err := l.Begin(t.Context(), call("t"), Decision{}); got <- err }()
				synctest.Wait()
			}
		}
		begin(4) // one leads, three wait for it
		for i, want := range []int{1, 4} {
			let <- nil
			synctest.Wait()
			if len(got) != want {
				t.Fatalf("after sync %d %d calls are recorded, want %d", i+1, len(got), want)
			}
		}
		begin(3)
		for range maxBatch - 2 {
			if err := l.Note(&Record{Kind: "note"}); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		err = l.Note(&Record{Kind: "note"})
		if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code != "audit.unavailable" || time.Since(began) != patience {
			t.Errorf("a full queue answers %v after %s, want audit.unavailable after %s", err, time.Since(began), patience)
		}
		let <- errors.New("no space left on device")
		synctest.Wait()
		for i := range len(got) {
			if err := <-got; (err == nil) != (i < 4) {
				t.Errorf("call %d: %v", i+1, err)
			}
		}
		if err := l.Note(&Record{Kind: "note"}); err == nil {
			t.Error("a failed log takes records")
		}
		_ = l.Close()
	})
}

func TestRecordHasAllFields(t *testing.T) {
	r := &Record{}
	v := reflect.ValueOf(r).Elem()
	var fill func(reflect.Value)
	fill = func(v reflect.Value) {
		for i := range v.NumField() {
			switch f := v.Field(i); f.Kind() {
			case reflect.String:
				f.SetString("x")
			case reflect.Int, reflect.Int64:
				f.SetInt(7)
			case reflect.Bool:
				f.SetBool(true)
			case reflect.Struct:
				if f.Type() == reflect.TypeFor[Decision]() {
					fill(f)
				}
			}
		}
	}
	fill(v)
	line := string(appendRecord(nil, 1, r))
	var check func(reflect.Type)
	check = func(ty reflect.Type) {
		for i := range ty.NumField() {
			tag, _, _ := strings.Cut(ty.Field(i).Tag.Get("json"), ",")
			if tag == "" {
				check(ty.Field(i).Type)
			} else if !strings.Contains(line, `"`+tag+`":`) {
				t.Errorf("field %s is not written", tag)
			}
		}
	}
	check(v.Type())
}

func BenchmarkLog(b *testing.B) {
	for _, writers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			l, err := Open(b.TempDir(), Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			b.ReportAllocs()
			b.SetParallelism(writers / 2)
			b.RunParallel(func(pb *testing.PB) {
				c := call("t")
				for pb.Next() {
					if _, err := l.Begin(context.Background(), c, Decision{Answer: "allow"}); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// TestRestartAtOnce: a log that is opened again within a second, with nothing recorded between, gets a file of its own.
func TestRestartAtOnce(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 12 {
		l, err := Open(dir, Options{Now: func() time.Time { return now }})
		if err != nil {
			t.Fatalf("open %d: %v", i, err)
		}
		if i == 11 {
			if err := l.Note(&Record{Kind: "auth", Code: "auth.invalid"}); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := records(t, dir); len(got) != 1 || got[0].Seq != 1 {
		t.Errorf("records = %+v, want one", got)
	}
}
