// Package key signs callers in with access keys. A key is shown once; what is stored is its hash under a pepper that the
// store does not hold.
package key

import (
	"container/list"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"math/big"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse"
	"gatehouse/identity"
	"gatehouse/internal/seal"
	"gatehouse/store"
)

// MaxLifetime is the longest life of a key.
const MaxLifetime = 90 * 24 * time.Hour

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// format is gh1_<id>_<secret>_<checksum>: 10, 43 and 6 characters in base 62. The checksum is CRC-32 over all before its
// underscore, so a typing error is found without the store, and a scanner can tell a key from noise.
var format = regexp.MustCompile(`^gh1_([0-9A-Za-z]{10})_[0-9A-Za-z]{43}_([0-9A-Za-z]{6})$`)

func base62(n *big.Int, width int) string {
	out := make([]byte, width)
	n = new(big.Int).Set(n)
	mod, base := new(big.Int), big.NewInt(62)
	for i := width - 1; i >= 0; i-- {
		n.DivMod(n, base, mod)
		out[i] = alphabet[mod.Int64()]
	}
	return string(out)
}

func checksum(s string) string {
	return base62(new(big.Int).SetUint64(uint64(crc32.ChecksumIEEE([]byte(s)))), 6)
}

// Generate makes a key. The secret is what the caller gets; the store.Key is what is kept.
func Generate(pepper []byte, now time.Time, name string, servers []string, life time.Duration) (gatehouse.Secret, store.Key, error) {
	if name == "" || len(name) > 64 || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return gatehouse.Secret{}, store.Key{}, &gatehouse.Error{Code: "key.name", Msg: fmt.Sprintf("%q cannot be the name of a key", name), Hint: "use 1 to 64 visible ASCII characters without blanks"}
	}
	if life <= 0 || life > MaxLifetime {
		return gatehouse.Secret{}, store.Key{}, &gatehouse.Error{Code: "key.lifetime", Msg: "a key lives 1 to 90 days", Hint: "rotate it before it expires: gatehouse keys rotate"}
	}
	var idBytes [8]byte
	var secret [32]byte
	rand.Read(idBytes[:])
	rand.Read(secret[:])
	id := base62(new(big.Int).SetBytes(idBytes[:]), 10)
	text := "gh1_" + id + "_" + base62(new(big.Int).SetBytes(secret[:]), 43)
	text += "_" + checksum(text)
	k := store.Key{ID: id, Name: name, Hash: hash(pepper, text), Servers: slices.Clone(servers), Created: now.UTC().Truncate(time.Second), Expires: now.Add(life).UTC().Truncate(time.Second)}
	return gatehouse.NewSecret(text), k, nil
}

func hash(pepper []byte, text string) (h [32]byte) {
	m := hmac.New(sha256.New, pepper)
	m.Write([]byte(text))
	m.Sum(h[:0])
	return h
}

// LoadPepper reads the pepper of a data folder, or makes it.
func LoadPepper(data string) ([]byte, error) {
	return seal.LoadKey(filepath.Join(data, "keys", "pepper"))
}

// fresh is how long an answer of the store is good: a key revoked by another process ends within a second.
const fresh = 500 * time.Millisecond

// maxCached bounds the keys that are kept in memory.
const maxCached = 10_000

// Authenticator checks access keys. It is safe for concurrent use.
type Authenticator struct {
	st     store.Store
	pepper []byte
	now    func() time.Time

	mu      sync.Mutex
	byHash  map[[32]byte]*list.Element // of *cached
	order   *list.List                 // most recently used first
	touches sync.WaitGroup
}

type cached struct {
	sum     [32]byte // SHA-256 of the text that was sent
	key     store.Key
	good    bool
	until   time.Time
	touched time.Time
}

// New returns an authenticator for the keys of st.
func New(st store.Store, pepper []byte, now func() time.Time) *Authenticator {
	return &Authenticator{st: st, pepper: pepper, now: now, byHash: map[[32]byte]*list.Element{}, order: list.New()}
}

// Close waits until the last uses are stored.
func (a *Authenticator) Close() { a.touches.Wait() }

func invalid() error {
	return &gatehouse.Error{Code: "auth.invalid", Msg: "the access key is not valid", Hint: "gatehouse keys list shows the active ones; a key is shown only when it is made"}
}

// Authenticate implements identity.Authenticator.
func (a *Authenticator) Authenticate(ctx context.Context, c *identity.Credentials) (*gatehouse.Principal, error) {
	text := c.Key.Reveal()
	if text == "" {
		if text = c.Bearer.Reveal(); !strings.HasPrefix(text, "gh1_") {
			if text == "" {
				return nil, identity.ErrNone
			}
			return nil, invalid()
		}
	}
	now := a.now()
	var room [128]byte // a key fits
	sum := sha256.Sum256(append(room[:0], text...))
	k, good, known := a.lookup(sum, now)
	if !known {
		var err error
		if k, good, err = a.check(ctx, text); err != nil {
			return nil, &gatehouse.Error{Code: "auth.unavailable", Msg: "access keys cannot be checked now", Hint: "try again", Err: err}
		}
		a.remember(sum, k, good, now)
	}
	switch {
	case !good || !k.Revoked.IsZero():
		return nil, invalid()
	case !now.Before(k.Expires):
		return nil, &gatehouse.Error{Code: "auth.expired", Msg: "the access key expired on " + k.Expires.Format(time.DateOnly), Hint: "make another with gatehouse keys rotate " + k.Name}
	case len(k.Servers) > 0 && !slices.Contains(k.Servers, c.Server):
		return nil, &gatehouse.Error{Code: "auth.forbidden", Msg: fmt.Sprintf("this access key does not open server %s", c.Server), Hint: "make one that does: gatehouse keys create NAME --server " + c.Server}
	case len(k.Networks) > 0 && !slices.ContainsFunc(k.Networks, func(p netip.Prefix) bool { return p.Contains(c.Source) }):
		return nil, &gatehouse.Error{Code: "auth.forbidden", Msg: "this access key is not for calls from " + c.Source.String(), Hint: "make one that is: gatehouse keys create NAME --from " + c.Source.String()}
	}
	return &gatehouse.Principal{Kind: gatehouse.Key, ID: "key:" + k.Name, Name: k.Name, Token: k.ID, Source: c.Source}, nil
}

// lookup answers from memory, and notes the use of a key once a minute.
func (a *Authenticator) lookup(sum [32]byte, now time.Time) (k store.Key, good, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.byHash[sum]
	if e == nil {
		return k, false, false
	}
	x := e.Value.(*cached)
	if !now.Before(x.until) {
		return k, false, false
	}
	a.order.MoveToFront(e)
	return x.key, x.good, true
}

func (a *Authenticator) remember(sum [32]byte, k store.Key, good bool, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.byHash[sum]
	if e == nil {
		e = a.order.PushFront(&cached{sum: sum})
		a.byHash[sum] = e
		if a.order.Len() > maxCached {
			last := a.order.Back()
			delete(a.byHash, last.Value.(*cached).sum)
			a.order.Remove(last)
		}
	}
	x := e.Value.(*cached)
	x.key, x.good, x.until = k, good, now.Add(fresh)
	if good && k.Revoked.IsZero() && now.Sub(x.touched) >= time.Minute {
		x.touched = now
		a.touches.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			_ = a.st.TouchKey(ctx, k.ID, now) // for people to look at; the record says who called
		})
	}
}

// check asks the store. A key of another form, one that is not there and one with another secret are all the same.
func (a *Authenticator) check(ctx context.Context, text string) (k store.Key, good bool, err error) {
	m := format.FindStringSubmatch(text)
	if m == nil || checksum(text[:len(text)-7]) != m[2] {
		return k, false, nil
	}
	k, err = a.st.Key(ctx, m[1])
	if errors.Is(err, store.ErrNotFound) {
		return k, false, nil
	}
	if err != nil {
		return k, false, err
	}
	h := hash(a.pepper, text)
	return k, hmac.Equal(h[:], k.Hash[:]), nil
}
