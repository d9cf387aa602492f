package sqlite

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/store"
	"gatehouse/store/storetest"
)

func open(t *testing.T, path string) store.Store {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, filepath.Join(t.TempDir(), "a b?#.db")) })
}

func TestTwoHandlesSeeEachOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gatehouse.db")
	a, b := open(t, path), open(t, path)
	if err := a.CreateKey(t.Context(), store.Key{ID: "k", Name: "n", Created: time.Now(), Expires: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := b.RevokeKey(t.Context(), "k", time.Now()); err != nil {
		t.Fatal(err)
	}
	if k, err := a.Key(t.Context(), "k"); err != nil || k.Revoked.IsZero() {
		t.Errorf("Key = %+v, %v, want it revoked", k, err)
	}
	if st, _ := os.Stat(path); st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", st.Mode().Perm())
	}
}
