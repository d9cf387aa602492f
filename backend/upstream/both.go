package upstream

import (
	"context"
	"errors"
	"net/http"

	"gatehouse"
)

// A server of both eras may ask a legacy caller only in a legacy session: what it asks there has no other way, and the
// caller's era is the one in which nothing has to be translated. Callers that cannot be asked share the modern way, which
// costs the upstream no session.

// legacyKey begins the pool keys of legacy sessions with a server that is known as modern.
const legacyKey = "legacy\x00"

// errNoSession says that an upstream answers initialize without keeping a session: it could not ask anything in it.
var errNoSession = errors.New("the upstream keeps no sessions")

func (s *source) learnBoth(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.both = yes
}

func (s *source) speaksBoth() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.both && s.verdict == isModern
}

// sessionFor returns the session for c; done ends its use.
func (s *source) sessionFor(ctx context.Context, c *gatehouse.Call) (ss *session, done func(), err error) {
	principal, caps := principalOf(c), c.Client.Capabilities
	if c.Client.Era != gatehouse.Legacy || !canBeAsked(caps) {
		return s.session(ctx, principal, caps)
	}
	if s.known() == isUnknown { // the first call finds it out
		if ss, done, err = s.session(ctx, principal, caps); err != nil || !ss.modern {
			return ss, done, err
		}
		done()
	}
	if !s.speaksBoth() {
		return s.session(ctx, principal, caps)
	}
	owner := principal
	if s.cfg.Sessions == "shared" {
		owner = "shared"
	}
	ss, done, err = s.pool.get(ctx, legacyKey+owner+"\x00"+caps.Class(), principal, caps)
	var re *gatehouse.RPCError
	var se *statusError
	refused := errors.As(err, &se) && se.status < 500 && se.status != http.StatusTooManyRequests
	if errors.Is(err, errNoSession) || errors.As(err, &re) || refused || isProtocol(err) {
		s.learnBoth(false)
		return s.session(ctx, principal, caps)
	}
	return ss, done, err
}

// dialLegacy opens a legacy session with a server of both eras.
func (s *source) dialLegacy(ctx context.Context, key, principal string, caps gatehouse.Capabilities) (*session, error) {
	ss := s.newSession(key, principal, caps, nil)
	if s.http != nil {
		ss.car = &httpCarrier{s}
	} else if err := s.spawn(ss); err != nil {
		ss.die(err)
		return nil, err
	}
	err := ss.initialize(ctx)
	if err == nil && s.http != nil && ss.sid == "" {
		err = errNoSession
	}
	if err != nil {
		ss.close()
		return nil, err
	}
	return ss, nil
}
