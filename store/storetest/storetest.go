// Package storetest is the suite that every store must pass.
package storetest

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"gatehouse/store"
)

// Run runs the suite; open returns an empty store.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	ctx := t.Context()
	now := time.Unix(1_800_000_000, 0).UTC()
	key := func(id, name string, created time.Time) store.Key {
		return store.Key{ID: id, Name: name, Hash: [32]byte{1, 2, 3}, Servers: []string{"a", "b"}, Networks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")}, Created: created, Expires: created.Add(time.Hour)}
	}
	t.Run("keys", func(t *testing.T) {
		s := open(t)
		for _, k := range []store.Key{key("k2", "b", now), key("k3", "a", now.Add(time.Second)), key("k1", "a", now)} {
			if err := s.CreateKey(ctx, k); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.CreateKey(ctx, key("k1", "x", now)); !errors.Is(err, store.ErrExists) {
			t.Errorf("a taken id: %v, want ErrExists", err)
		}
		got, err := s.Key(ctx, "k2")
		if want := key("k2", "b", now); err != nil || got.ID != want.ID || got.Hash != want.Hash || !slices.Equal(got.Servers, want.Servers) || !slices.Equal(got.Networks, want.Networks) ||
			!got.Created.Equal(want.Created) || !got.Expires.Equal(want.Expires) || !got.LastUsed.IsZero() || !got.Revoked.IsZero() {
			t.Errorf("Key = %+v, %v, want %+v", got, err, want)
		}
		if _, err := s.Key(ctx, "nope"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("an unknown id: %v, want ErrNotFound", err)
		}
		all, err := s.Keys(ctx)
		if err != nil || len(all) != 3 || all[0].ID != "k1" || all[1].ID != "k3" || all[2].ID != "k2" {
			t.Errorf("Keys = %+v, %v", all, err)
		}
	})
	t.Run("revoke and touch", func(t *testing.T) {
		s := open(t)
		if err := s.CreateKey(ctx, key("k", "a", now)); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.RevokeKey(ctx, "k", now), s.RevokeKey(ctx, "k", now.Add(time.Hour)), s.TouchKey(ctx, "k", now.Add(90*time.Second)), s.TouchKey(ctx, "k", now)); err != nil {
			t.Fatal(err)
		}
		got, _ := s.Key(ctx, "k")
		if !got.Revoked.Equal(now) || !got.LastUsed.Equal(now.Add(90*time.Second).Truncate(time.Minute)) {
			t.Errorf("Key = %+v", got)
		}
		if err := s.RevokeKey(ctx, "nope", now); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("revoke an unknown id: %v", err)
		}
		if err := s.TouchKey(ctx, "nope", now); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("touch an unknown id: %v", err)
		}
	})
}
