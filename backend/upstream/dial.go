package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"gatehouse"
	"gatehouse/wire"
)

// verdict is how an upstream speaks, as far as is known.
type verdict uint8

const (
	isUnknown verdict = iota
	isLegacy
	isModern
	isSSE
)

func (v verdict) era() gatehouse.Era {
	switch v {
	case isLegacy, isSSE:
		return gatehouse.Legacy
	case isModern:
		return gatehouse.Modern
	}
	return 0
}

var legacyRevisions = []string{gatehouse.Revision20251125, gatehouse.Revision20250618, gatehouse.Revision20250326, gatehouse.Revision20241105}

func (s *source) known() verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.verdict
}

func (s *source) learn(v verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verdict = v
}

// doubt forgets how the upstream speaks, unless the configuration says so.
func (s *source) doubt() {
	switch s.cfg.Era {
	case "legacy", "modern", "sse":
		return
	}
	s.learn(isUnknown)
}

// key is where the session for a principal's calls is kept. "" stands for nobody in particular.
func (s *source) key(principal string, caps gatehouse.Capabilities) (key string) {
	if s.cfg.Sessions == "shared" {
		principal = "shared"
	}
	if s.known() == isModern {
		if s.http != nil {
			return "modern"
		}
		return principal
	}
	return principal + "\x00" + caps.Class()
}

// session returns the session for a principal's calls; done ends its use.
func (s *source) session(ctx context.Context, principal string, caps gatehouse.Capabilities) (*session, func(), error) {
	key := s.key(principal, caps)
	if s.cfg.Sessions == "shared" {
		principal = "" // what is said outside of a call is for nobody in particular
	}
	return s.pool.get(ctx, key, principal, caps)
}

// dial opens a session in the era of the upstream, which it finds out first.
func (s *source) dial(ctx context.Context, key, principal string, caps gatehouse.Capabilities) (*session, error) {
	if strings.HasPrefix(key, legacyKey) {
		return s.dialLegacy(ctx, key, principal, caps)
	}
	if s.http == nil {
		return s.dialCommand(ctx, key, principal, caps)
	}
	v := s.known()
	if v == isUnknown || v == isModern {
		ss := s.newSession(key, principal, gatehouse.Capabilities{}, &httpCarrier{s})
		modern, err := ss.discover(ctx, v == isModern)
		if err == nil && modern {
			s.learn(isModern)
			return ss, nil
		}
		ss.die(errClosed)
		if err != nil {
			return nil, err
		}
	}
	if v != isSSE {
		ss := s.newSession(key, principal, caps, &httpCarrier{s})
		err := ss.initialize(ctx)
		if err == nil {
			s.learn(isLegacy)
			return ss, nil
		}
		ss.die(errClosed)
		var se *statusError
		if !errors.As(err, &se) || v == isLegacy || se.status != http.StatusBadRequest && se.status != http.StatusNotFound && se.status != http.StatusMethodNotAllowed {
			return nil, err
		}
	}
	ss := s.newSession(key, principal, caps, nil)
	err := s.connectSSE(ctx, ss)
	if err == nil {
		err = ss.initialize(ctx)
	}
	if err != nil {
		ss.close()
		return nil, err
	}
	s.learn(isSSE)
	return ss, nil
}

// discover asks a server whether it is modern. pinned says that it must be. A server that refuses the revision and lists
// it all the same is asked once more.
func (ss *session) discover(ctx context.Context, pinned bool) (bool, error) {
	modern, again, err := ss.probe(ctx, pinned)
	if again {
		modern, again, err = ss.probe(ctx, pinned)
	}
	if again {
		return false, ss.src.protocol("refuses the revision that it says it supports", nil)
	}
	return modern, err
}

func (ss *session) probe(ctx context.Context, pinned bool) (modern, again bool, err error) {
	ss.modern, ss.rev = true, gatehouse.Revision20260728
	params := []byte(`{"_meta":` + string(ss.meta(nil, gatehouse.Capabilities{}, "")) + `}`)
	limit := ss.src.b.list
	if ss.src.http == nil {
		limit = ss.src.b.probe
	}
	res, err := ss.request(ctx, "server/discover", params, limit)
	yes := func() (bool, bool, error) { return true, false, nil }
	no := func() (bool, bool, error) {
		ss.modern, ss.rev = false, ""
		if pinned {
			return false, false, ss.src.protocol("does not speak revision "+gatehouse.Revision20260728, err)
		}
		return false, false, nil
	}
	var se *statusError
	var re *gatehouse.RPCError
	var code int64
	var data []byte
	switch {
	case err == nil:
		o, _ := wire.ParseObject(res)
		list, _ := wire.Elements(o.Get("supportedVersions"))
		if !speaks(list, gatehouse.Revision20260728) {
			return no()
		}
		ss.offers, _ = wire.ParseObject(o.Get("capabilities"))
		ss.instruct, _ = wire.Text(o.Get("instructions"))
		ss.src.learnBoth(ss.src.cfg.Era != "modern" && speaks(list, legacyRevisions...))
		return yes()
	case errors.As(err, &se) && se.status >= 400 && se.status < 500:
		if se.rpc == nil {
			return no()
		}
		code, data = se.rpc.Code, se.rpc.Data
		if code == gatehouse.CodeMethodNotFound && se.status == http.StatusNotFound {
			return yes()
		}
	case errors.As(err, &re):
		code, data = re.Code, re.Data
	case ss.src.http == nil && errors.Is(err, errTimeout):
		return no()
	case ss.src.http != nil && se == nil && !isProtocol(err):
		return false, false, err // it could not be asked
	default:
		if ss.src.http == nil && !ss.alive() {
			return false, false, err
		}
		if se != nil {
			return false, false, err // 5xx
		}
		return no()
	}
	switch code {
	case gatehouse.CodeHeaderMismatch, gatehouse.CodeMissingCapability:
		return yes()
	case gatehouse.CodeUnsupportedRev:
		o, _ := wire.ParseObject(data)
		list, _ := wire.Elements(o.Get("supported"))
		switch {
		case speaks(list, gatehouse.Revision20260728):
			return false, true, nil
		case speaks(list, legacyRevisions...):
			return no()
		}
		ss.modern, ss.rev = false, ""
		return false, false, ss.src.protocol("speaks no revision that Gatehouse speaks", err)
	}
	return no()
}

// speaks reports whether one of the revisions is on the list.
func speaks(list [][]byte, revisions ...string) bool {
	return slices.ContainsFunc(list, func(b []byte) bool { v, _ := wire.Text(b); return slices.Contains(revisions, v) })
}

func isProtocol(err error) bool {
	var ge *gatehouse.Error
	var we *wire.Error
	return errors.As(err, &we) || errors.As(err, &ge) && ge.Code == codeProtocol
}

// initialize makes the legacy handshake.
func (ss *session) initialize(ctx context.Context) error {
	rev := gatehouse.Revision20251125
	if _, old := ss.car.(*sseCarrier); old {
		rev = gatehouse.Revision20241105
	}
	params := []byte(`{"protocolVersion":"` + rev + `","capabilities":`)
	params = append(params, declare(ss.caps, false)...)
	params = append(params, `,"clientInfo":{"name":"gatehouse","version":"`+gatehouse.Version+`"}}`...)
	res, err := ss.request(ctx, "initialize", params, ss.src.b.open)
	if err != nil {
		var re *gatehouse.RPCError
		if errors.As(err, &re) {
			return ss.src.protocol("refuses to be initialised: "+clip(re.Message), err)
		}
		return err
	}
	o, _ := wire.ParseObject(res)
	got, _ := wire.Text(o.Get("protocolVersion"))
	if !slices.Contains(legacyRevisions, got) {
		return ss.src.protocol(fmt.Sprintf("chose protocol revision %.40q, which Gatehouse does not speak", got), nil)
	}
	ss.rev = got
	ss.offers, _ = wire.ParseObject(o.Get("capabilities"))
	ss.instruct, _ = wire.Text(o.Get("instructions"))
	sctx, cancel := context.WithTimeout(ctx, ss.src.b.open)
	defer cancel()
	if err := ss.car.send(sctx, ss, wire.AppendNotification(nil, "notifications/initialized", nil)); err != nil {
		return fmt.Errorf("send notifications/initialized: %w", err)
	}
	return nil
}

// none is no capabilities.
var none = []byte("{}")

// declare writes the capabilities of a class.
func declare(c gatehouse.Capabilities, modern bool) []byte {
	if c.Class() == "" {
		return none
	}
	var o wire.Object
	add := func(name, value string) { o = append(o, wire.Member{Name: name, Value: []byte(value)}) }
	switch {
	case c.Elicitation && c.ElicitationURL:
		add("elicitation", `{"form":{},"url":{}}`)
	case c.ElicitationURL:
		add("elicitation", `{"url":{}}`)
	case c.Elicitation:
		add("elicitation", `{}`)
	}
	switch {
	case c.SamplingTools:
		add("sampling", `{"tools":{}}`)
	case c.Sampling:
		add("sampling", `{}`)
	}
	switch {
	case c.Roots && modern:
		add("roots", `{}`)
	case c.Roots:
		add("roots", `{"listChanged":true}`)
	}
	if c.UI {
		add("extensions", `{"io.modelcontextprotocol/ui":{"mimeTypes":["text/html;profile=mcp-app"]}}`)
	}
	return o.Bytes()
}

const metaPrefix = "io.modelcontextprotocol/"

// meta writes params._meta of a request. c is nil for requests of our own.
func (ss *session) meta(c *gatehouse.Call, caps gatehouse.Capabilities, token string) []byte {
	var room [12]wire.Member
	o := wire.Object(room[:0])
	if c != nil {
		o, _ = wire.AppendMembers(o, c.Meta)
		o = o.Delete("baggage", "progressToken")
	}
	if token != "" {
		o = append(o, wire.Member{Name: "progressToken", Value: []byte(token)})
	}
	if !ss.modern {
		if len(o) == 0 {
			return nil
		}
		return o.Bytes()
	}
	name := "gatehouse"
	if c != nil && c.Client.Name != "" {
		name = "gatehouse (" + clip(c.Client.Name) + ")"
	}
	info := append(make([]byte, 0, len(name)+48), `{"name":`...)
	info = append(wire.AppendString(info, name), `,"version":"`+gatehouse.Version+`"}`...)
	o = append(o, wire.Member{Name: metaPrefix + "protocolVersion", Value: wire.String(ss.rev)},
		wire.Member{Name: metaPrefix + "clientInfo", Value: info},
		wire.Member{Name: metaPrefix + "clientCapabilities", Value: declare(caps, true)})
	if c != nil && c.LogLevel != "" {
		o = append(o, wire.Member{Name: metaPrefix + "logLevel", Value: wire.String(c.LogLevel)})
	}
	return o.Bytes()
}

// clip bounds text of an upstream for messages.
func clip(s string) string {
	if len(s) > 200 {
		s = s[:200] + "…"
	}
	return s
}
