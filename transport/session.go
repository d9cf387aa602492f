package transport

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse"
	"gatehouse/config"
	"gatehouse/internal/seal"
)

// Session is a legacy session. Its state travels sealed inside its id, so any node that has the key can serve it; it
// authenticates nobody.
type Session struct {
	ID        string // the text of Mcp-Session-Id
	Random    [12]byte
	Principal string
	Server    string
	Issued    time.Time
	Client    gatehouse.Client
}

// ErrSession says that a session is not known, has ended, or belongs to somebody else: all the same to the caller.
var ErrSession = errors.New("no such session")

// ErrTooManySessions says that the principal has as many sessions as it may.
var ErrTooManySessions = errors.New("too many sessions")

// Sessions makes and opens legacy sessions. What it keeps of an idle one is its last use: no goroutine, no buffer.
type Sessions struct {
	box    *seal.Box
	limits atomic.Pointer[config.Limits]
	now    func() time.Time

	seed   maphash.Seed
	shards [16]sessionShard
}

type sessionShard struct {
	mu    sync.Mutex
	live  map[[12]byte]*sessionUse
	count map[string]int // live sessions by principal
	swept time.Time
}

type sessionUse struct {
	principal string
	used      int64 // Unix seconds
	ended     bool
	expires   int64
}

// NewSessions derives the key once.
func NewSessions(master []byte, l config.Limits, now func() time.Time) (*Sessions, error) {
	box, err := seal.New(master, "session")
	if err != nil {
		return nil, err
	}
	s := &Sessions{box: box, now: now, seed: maphash.MakeSeed()}
	s.SetLimits(l)
	for i := range s.shards {
		s.shards[i].live, s.shards[i].count = map[[12]byte]*sessionUse{}, map[string]int{}
	}
	return s, nil
}

// SetLimits changes how long sessions live and how many a principal may have. It ends none that is over the new number.
func (s *Sessions) SetLimits(l config.Limits) { s.limits.Store(&l) }

// shard is chosen by principal, so that its sessions are counted in one place.
func (s *Sessions) shard(principal string) *sessionShard {
	return &s.shards[maphash.String(s.seed, principal)%uint64(len(s.shards))]
}

const sessionVersion = 1

// New begins a session of the principal at the server.
func (s *Sessions) New(p *gatehouse.Principal, server string, client gatehouse.Client) (*Session, error) {
	now := s.now()
	x := &Session{Principal: p.ID, Server: server, Issued: now, Client: client}
	rand.Read(x.Random[:])
	b := []byte{sessionVersion, flags(client.Capabilities)}
	b = append(b, x.Random[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(now.Unix()))
	for _, t := range []string{client.Revision, client.Name, client.Version} {
		b = append(append(b, byte(min(len(t), 255))), t[:min(len(t), 255)]...)
	}
	x.ID = s.box.Seal(b, sessionBind(p.ID, server))
	x.Client.Session = publicID(x.Random)

	sh := s.shard(p.ID)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	l := s.limits.Load()
	sh.sweep(now, l.SessionIdle)
	if sh.count[p.ID] >= l.SessionsPerPrincipal {
		return nil, ErrTooManySessions
	}
	sh.add(x, p.ID, now, l)
	return x, nil
}

func (sh *sessionShard) add(x *Session, principal string, now time.Time, l *config.Limits) *sessionUse {
	u := &sessionUse{principal: principal, used: now.Unix(), expires: x.Issued.Add(l.SessionLifetime).Unix()}
	sh.live[x.Random] = u
	sh.count[principal]++
	return u
}

// Open opens the id for this principal and server and notes its use; ErrSession for every reason it is not good.
func (s *Sessions) Open(id string, p *gatehouse.Principal, server string) (*Session, error) {
	if len(id) > 2048 {
		return nil, ErrSession
	}
	b, err := s.box.Open(id, sessionBind(p.ID, server))
	if err != nil || len(b) < 22 || b[0] != sessionVersion {
		return nil, ErrSession
	}
	x := &Session{ID: id, Principal: p.ID, Server: server, Random: [12]byte(b[2:14]), Issued: time.Unix(int64(binary.BigEndian.Uint64(b[14:22])), 0)}
	texts := [3]string{}
	rest := b[22:]
	for i := range texts {
		if len(rest) == 0 || len(rest) < 1+int(rest[0]) {
			return nil, ErrSession
		}
		end := 1 + int(rest[0])
		texts[i], rest = string(rest[1:end]), rest[end:]
	}
	x.Client = gatehouse.Client{
		Era: gatehouse.Legacy, Revision: texts[0], Name: texts[1], Version: texts[2],
		Capabilities: capabilities(b[1]), Session: publicID(x.Random),
	}

	now, l := s.now(), s.limits.Load()
	sh := s.shard(p.ID)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	u := sh.live[x.Random]
	switch {
	case !now.Before(x.Issued.Add(l.SessionLifetime)):
		return nil, ErrSession
	case u == nil: // made by another node, or before a restart
		if sh.count[p.ID] >= l.SessionsPerPrincipal {
			return nil, ErrSession
		}
		u = sh.add(x, p.ID, now, l)
	case u.ended || now.Unix()-u.used > int64(l.SessionIdle/time.Second):
		return nil, ErrSession
	}
	u.used = now.Unix()
	return x, nil
}

// End ends the session: its id is answered with ErrSession from now on.
func (s *Sessions) End(x *Session) {
	sh := s.shard(x.Principal)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if u := sh.live[x.Random]; u != nil && !u.ended {
		u.ended = true
		sh.drop(u)
	}
}

// Len counts the live sessions.
func (s *Sessions) Len() (n int) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		for _, c := range sh.count {
			n += c
		}
		sh.mu.Unlock()
	}
	return n
}

func (sh *sessionShard) drop(u *sessionUse) {
	if sh.count[u.principal]--; sh.count[u.principal] <= 0 {
		delete(sh.count, u.principal)
	}
}

// sweep forgets what has expired, at most once a minute. An idle session is marked ended, and forgotten at its expiry:
// its id would open again otherwise.
func (sh *sessionShard) sweep(now time.Time, idle time.Duration) {
	if now.Sub(sh.swept) < time.Minute {
		return
	}
	sh.swept = now
	for k, u := range sh.live {
		if !u.ended && now.Unix()-u.used > int64(idle/time.Second) {
			u.ended = true
			sh.drop(u)
		}
		if now.Unix() >= u.expires {
			if !u.ended {
				sh.drop(u)
			}
			delete(sh.live, k)
		}
	}
}

func sessionBind(principal, server string) []byte { return []byte(principal + "\x00" + server) }

func publicID(r [12]byte) string {
	const hex = "0123456789abcdef"
	out := make([]byte, 0, 12)
	for _, c := range r[:6] {
		out = append(out, hex[c>>4], hex[c&15])
	}
	return string(out)
}

func flags(c gatehouse.Capabilities) (f byte) {
	for i, on := range []bool{c.Elicitation, c.ElicitationURL, c.Sampling, c.SamplingTools, c.Roots, c.UI} {
		if on {
			f |= 1 << i
		}
	}
	return f
}

func capabilities(f byte) gatehouse.Capabilities {
	on := func(i int) bool { return f&(1<<i) != 0 }
	return gatehouse.Capabilities{Elicitation: on(0), ElicitationURL: on(1), Sampling: on(2), SamplingTools: on(3), Roots: on(4), UI: on(5)}
}
