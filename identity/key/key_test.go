package key

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/identity"
	"gatehouse/store"
)

// shelf is a store in memory.
type shelf struct {
	store.Store
	mu   sync.Mutex
	keys map[string]store.Key
	fail error
}

func (s *shelf) Key(_ context.Context, id string) (store.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.keys[id]
	if s.fail != nil {
		return k, s.fail
	}
	if !ok {
		return k, store.ErrNotFound
	}
	return k, nil
}

func (s *shelf) TouchKey(_ context.Context, id string, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[id]
	k.LastUsed = at
	s.keys[id] = k
	return nil
}

func TestAuthenticate(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	pepper := []byte("pepper")
	st := &shelf{keys: map[string]store.Key{}}
	a := New(st, pepper, func() time.Time { return now })
	secret, k, err := Generate(pepper, now, "ci", []string{"s"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	st.keys[k.ID] = k
	text := secret.Reveal()
	if !format.MatchString(text) || fmt.Sprint(secret) != "[secret]" {
		t.Errorf("key %q prints as %v", text, secret)
	}
	wrong := []byte(text)
	wrong[20] ^= 1
	other, _, _ := Generate(pepper, now, "ci", nil, time.Hour)
	ask := func(c identity.Credentials) (*gatehouse.Principal, error) {
		if c.Server == "" {
			c.Server = "s"
		}
		return a.Authenticate(t.Context(), &c)
	}
	for name, c := range map[string]struct {
		cred identity.Credentials
		code string
	}{
		"typing error": {identity.Credentials{Bearer: gatehouse.NewSecret(string(wrong))}, "auth.invalid"},
		"unknown":      {identity.Credentials{Bearer: other}, "auth.invalid"},
		"other bearer": {identity.Credentials{Bearer: gatehouse.NewSecret("eyJhbGciOi")}, "auth.invalid"},
		"header noise": {identity.Credentials{Key: gatehouse.NewSecret("x")}, "auth.invalid"},
		"other server": {identity.Credentials{Bearer: secret, Server: "t"}, "auth.forbidden"},
	} {
		_, err := ask(c.cred)
		if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	if _, err := ask(identity.Credentials{}); !errors.Is(err, identity.ErrNone) {
		t.Errorf("nothing sent: %v, want ErrNone", err)
	}
	for _, c := range []identity.Credentials{{Bearer: secret}, {Key: secret}} {
		p, err := ask(c)
		if err != nil || p.ID != "key:ci" || p.Token != k.ID {
			t.Errorf("good key: %+v, %v", p, err)
		}
	}
	a.Close()
	if !st.keys[k.ID].LastUsed.Equal(now) {
		t.Error("its use was not noted")
	}
	revoked := st.keys[k.ID]
	revoked.Revoked = now
	st.keys[k.ID] = revoked
	now = now.Add(fresh)
	if _, err := ask(identity.Credentials{Bearer: secret}); err == nil {
		t.Error("a revoked key opens half a second later")
	}
	revoked.Revoked = time.Time{}
	st.keys[k.ID] = revoked
	now = now.Add(time.Hour)
	_, err = ask(identity.Credentials{Bearer: secret})
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code != "auth.expired" {
		t.Errorf("expired: %v", err)
	}
	now = now.Add(time.Second)
	st.fail = errors.New("disk")
	_, err = ask(identity.Credentials{Bearer: secret})
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code != "auth.unavailable" {
		t.Errorf("store down: %v, want auth.unavailable", err)
	}
}

func TestGenerateRefuses(t *testing.T) {
	for _, name := range []string{"", "a b", "ü", "\n"} {
		if _, _, err := Generate(nil, time.Now(), name, nil, time.Hour); err == nil {
			t.Errorf("name %q is accepted", name)
		}
	}
	for _, life := range []time.Duration{0, -1, MaxLifetime + 1} {
		if _, _, err := Generate(nil, time.Now(), "a", nil, life); err == nil {
			t.Errorf("life %v is accepted", life)
		}
	}
	var ids []string
	for range 100 {
		_, k, _ := Generate(nil, time.Now(), "a", nil, time.Hour)
		ids = append(ids, k.ID)
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 100 {
		t.Error("ids repeat")
	}
}

func BenchmarkCached(b *testing.B) {
	pepper := []byte("pepper")
	st := &shelf{keys: map[string]store.Key{}}
	now := time.Now()
	a := New(st, pepper, func() time.Time { return now })
	secret, k, _ := Generate(pepper, now, "ci", nil, time.Hour)
	st.keys[k.ID] = k
	c := &identity.Credentials{Bearer: secret, Server: "s"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Authenticate(context.Background(), c); err != nil {
			b.Fatal(err)
		}
	}
}

// TestNetworks: a key that is bound to addresses is good from there alone; an address that is not known is from nowhere.
func TestNetworks(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	pepper := []byte("pepper")
	secret, k, err := Generate(pepper, now, "office", nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	k.Networks = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")}
	a := New(&shelf{keys: map[string]store.Key{k.ID: k}}, pepper, func() time.Time { return now })
	for from, want := range map[string]string{"10.1.2.3": "", "10.2.0.1": "auth.forbidden", "fd12::1": "", "fe80::1": "auth.forbidden", "": "auth.forbidden"} {
		addr, _ := netip.ParseAddr(from)
		_, err := a.Authenticate(t.Context(), &identity.Credentials{Key: secret, Source: addr})
		got := ""
		if ge, ok := errors.AsType[*gatehouse.Error](err); ok {
			got = ge.Code
		}
		if got != want {
			t.Errorf("from %q: %v, want %q", from, err, want)
		}
	}
	a.Close()
}
