// Package store is the contract of what Gatehouse keeps: today its access keys.
package store

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// Errors a caller branches on.
var (
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("exists already")
)

// Key is an access key as it is stored: never the secret, only its keyed hash.
type Key struct {
	ID       string         // public id: 10 characters of [0-9A-Za-z]
	Name     string         // whom it is for; at most two active keys share a name (rotation)
	Hash     [32]byte       // HMAC-SHA-256 of the whole key under the pepper
	Servers  []string       // published servers it opens; empty is all
	Networks []netip.Prefix // addresses it may come from; empty is any
	Created  time.Time
	Expires  time.Time // never zero
	LastUsed time.Time // zero when never; kept to the minute
	Revoked  time.Time // zero when not
}

// Store is safe for concurrent use by goroutines and by processes.
type Store interface {
	CreateKey(ctx context.Context, k Key) error                   // ErrExists when the id is taken
	Key(ctx context.Context, id string) (Key, error)              // ErrNotFound
	Keys(ctx context.Context) ([]Key, error)                      // by name, then creation
	RevokeKey(ctx context.Context, id string, at time.Time) error // ErrNotFound
	TouchKey(ctx context.Context, id string, at time.Time) error
	Close() error
}
