package seal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// FuzzOpen: only text that Seal made opens, and only as it was made.
func FuzzOpen(f *testing.F) {
	box, err := New(make([]byte, 32), "session")
	if err != nil {
		f.Fatal(err)
	}
	sealed := box.Seal([]byte("plain"), []byte("bind"))
	for _, s := range []string{"", "A", sealed, sealed + "\n", sealed[:len(sealed)-1], sealed + "=", "====", "\r\n", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		plain, err := box.Open(s, []byte("bind"))
		if err == nil { // what Seal made: each process of a fuzzing run makes its own
			if raw, _ := base64.RawURLEncoding.DecodeString(s); string(plain) != "plain" || base64.RawURLEncoding.EncodeToString(raw) != s {
				t.Fatalf("Open(%q) = %q", s, plain)
			}
		} else if s == sealed || !errors.Is(err, ErrOpen) {
			t.Fatalf("Open(%q) = %q, %v; want ErrOpen", s, plain, err)
		}
	})
}

func TestPurposeAndContext(t *testing.T) {
	key := make([]byte, 32)
	session, _ := New(key, "session")
	cursor, _ := New(key, "cursor")
	sealed := session.Seal([]byte("x"), []byte("alice"))
	if again := session.Seal([]byte("x"), []byte("alice")); again == sealed {
		t.Error("the same text twice has the same seal")
	}
	for name, open := range map[string]func() ([]byte, error){
		"another purpose": func() ([]byte, error) { return cursor.Open(sealed, []byte("alice")) },
		"another context": func() ([]byte, error) { return session.Open(sealed, []byte("bob")) },
		"no context":      func() ([]byte, error) { return session.Open(sealed, nil) },
	} {
		if got, err := open(); !errors.Is(err, ErrOpen) {
			t.Errorf("%s: %q, %v; want ErrOpen", name, got, err)
		}
	}
	if _, err := New(key[:31], "session"); err == nil {
		t.Error("a key of 31 bytes is accepted")
	}
}

func TestLoadKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "sealing")
	first, err := LoadKey(path)
	if err != nil || len(first) != 32 {
		t.Fatalf("LoadKey = %d bytes, %v", len(first), err)
	}
	if again, err := LoadKey(path); err != nil || string(again) != string(first) {
		t.Errorf("LoadKey again = %x, %v; want the same key", again, err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", st.Mode(), err)
	}
	if err := os.WriteFile(path, first[:10], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(path); err == nil {
		t.Error("a torn key file is accepted")
	}
}

// Processes that start at the same moment on a new folder end with one key.
func TestLoadKeyAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "sealing")
	keys := make([][]byte, 16)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			k, err := LoadKey(path)
			if err != nil {
				t.Error(err)
			}
			keys[i] = k
		})
	}
	wg.Wait()
	for _, k := range keys {
		if !bytes.Equal(k, keys[0]) || len(k) != 32 {
			t.Fatalf("keys differ: %x and %x", k, keys[0])
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 1 {
		t.Errorf("the folder holds %q", left)
	}
}
