package main

import (
	stdctx "context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"gatehouse"
	"gatehouse/audit"
	"gatehouse/builtin"
	"gatehouse/config"
	"gatehouse/identity/key"
	"gatehouse/store"
)

const (
	maxActive = 2                   // active keys of one name: the one in use and its successor
	expiring  = 14 * 24 * time.Hour // a key that has less left is to be rotated
	day       = 24 * time.Hour
)

// keyring is what every keys command works on.
type keyring struct {
	*context
	st    store.Store
	data  string
	audit config.Audit
	opens opens
	life  time.Duration
	now   time.Time
}

// opens is what a key opens, and from where.
type opens struct {
	servers  []string
	networks []netip.Prefix
}

// runKeys makes, lists and ends access keys.
func runKeys(c *context, args []string) int {
	var servers, from names
	f := c.flags("keys", "create NAME [--server S]… [--from NET]… [--days N] | list | rotate NAME [--days N] | revoke ID")
	data := f.String("data", "", "`DIR` that holds the keys, instead of the configuration's data")
	file := f.String("config", "gatehouse.yaml", "configuration `FILE`")
	days := f.Int("days", 90, "`N` days until the key expires, at most 90")
	f.Var(&servers, "server", "published server `S` the key opens; several times for several (default all)")
	f.Var(&from, "from", "address or range `NET` the key may come from, as 10.1.0.0/16; several times for several (default any)")
	if code := f.parse(args, 1, 2); code >= 0 {
		return code
	}
	verbs := map[string]struct {
		args int
		run  func(k *keyring, ctx stdctx.Context, arg string) error
	}{"create": {2, (*keyring).create}, "list": {1, (*keyring).list}, "rotate": {2, (*keyring).rotate}, "revoke": {2, (*keyring).revoke}}
	verb, known := verbs[f.rest[0]]
	switch {
	case !known:
		return c.misuse("gatehouse keys", "unknown command "+quote(f.rest[0]), orHelp(f.rest[0], slices.Sorted(maps.Keys(verbs)), "gatehouse keys --help"))
	case len(f.rest) < verb.args:
		return c.misuse("gatehouse keys", f.rest[0]+" needs a "+map[bool]string{true: "key's id", false: "name"}[f.rest[0] == "revoke"], "write gatehouse keys "+f.rest[0]+" "+map[bool]string{true: "ID; gatehouse keys list shows the ids", false: "NAME"}[f.rest[0] == "revoke"])
	case len(f.rest) > verb.args:
		return c.misuse("gatehouse keys", "unexpected argument "+quote(f.rest[verb.args]), "run gatehouse keys --help")
	}
	k, err := c.openKeys(*data, *file, servers, f.rest[0] == "create")
	if err != nil {
		return c.fail(err)
	}
	k.life = time.Duration(*days) * day
	if k.opens.networks, err = networks(from); err != nil {
		return c.fail(errors.Join(err, k.st.Close()))
	}
	arg := ""
	if verb.args == 2 {
		arg = f.rest[1]
	}
	if err := errors.Join(verb.run(k, stdctx.Background(), arg), k.st.Close()); err != nil {
		return c.fail(err)
	}
	return ok
}

// networks reads addresses and ranges; an address is a range of one.
func networks(list names) (out []netip.Prefix, err error) {
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if a, aerr := netip.ParseAddr(s); aerr == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return nil, &gatehouse.Error{Code: "key.from", Msg: "--from " + quote(s) + " is no address or range", Hint: "write it like 10.1.2.3 or 10.1.0.0/16"}
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// openKeys opens the store of keys; only create makes one that is not there.
func (c *context) openKeys(data, file string, servers names, create bool) (*keyring, error) {
	record := config.Audit{Dir: filepath.Join(data, "audit")}
	if data == "" {
		cfg, err := config.Load(file)
		if err != nil {
			return nil, err
		}
		known := slices.Sorted(maps.Keys(cfg.Servers))
		for _, s := range servers {
			if cfg.Servers[s] == nil {
				return nil, unknownServer(cfg, s, known)
			}
		}
		data, record = cfg.Data, cfg.Audit
	}
	if create {
		if err := makeData(data); err != nil {
			return nil, err
		}
	} else if _, err := os.Stat(filepath.Join(data, "gatehouse.db")); err != nil {
		return nil, &gatehouse.Error{Code: "key.data", Pos: gatehouse.Pos{File: data}, Msg: "no keys have been made here", Hint: "name the data folder with --data or the configuration with --config, or make a key: gatehouse keys create NAME"}
	}
	st, err := builtin.OpenStore(data)
	if err != nil {
		return nil, &gatehouse.Error{Code: "key.data", Pos: gatehouse.Pos{File: data}, Msg: "the keys cannot be opened: " + err.Error(), Hint: "run it as the user that the server runs as"}
	}
	return &keyring{context: c, st: st, data: data, audit: record, opens: opens{servers: servers}, now: time.Now()}, nil
}

func active(keys []store.Key, name string, now time.Time) (out []store.Key) {
	for _, k := range keys {
		if k.Name == name && k.Revoked.IsZero() && now.Before(k.Expires) {
			out = append(out, k)
		}
	}
	return out
}

func (r *keyring) create(ctx stdctx.Context, name string) error {
	return r.make(ctx, name, r.opens, nil)
}

// made is a new key for machines.
type made struct {
	ID       string         `json:"id"`
	Name     string         `json:"name"`
	Key      string         `json:"key"`
	Servers  []string       `json:"servers"`
	From     []netip.Prefix `json:"from"`
	Expires  time.Time      `json:"expires"`
	Replaces string         `json:"replaces,omitempty"` // id of the key that is to be revoked
}

// make makes a key; old is the one it is to replace, if any.
func (r *keyring) make(ctx stdctx.Context, name string, o opens, old *store.Key) error {
	keys, err := r.st.Keys(ctx)
	if err != nil {
		return err
	}
	if have := active(keys, name, r.now); len(have) >= maxActive {
		return &gatehouse.Error{Code: "key.active", Msg: fmt.Sprintf("%s has %d active keys already", name, len(have)), Hint: "when nobody uses the older one any more: gatehouse keys revoke " + have[0].ID}
	}
	secret, k, err := newKey(ctx, r.st, r.data, name, o, r.life, r.record)
	if err != nil {
		return err
	}
	if r.json {
		m := made{k.ID, k.Name, secret.Reveal(), k.Servers, k.Networks, k.Expires, ""}
		if old != nil {
			m.Replaces = old.ID
		}
		return writeJSON(r.out, m)
	}
	fmt.Fprintln(r.out, secret.Reveal())
	fmt.Fprintf(r.err, "key %s of %s, good until %s; it is shown this once\n", k.ID, k.Name, k.Expires.Format(time.DateOnly))
	if old != nil {
		fmt.Fprintf(r.err, "key %s stays good until %s; when the new one is in place: gatehouse keys revoke %s\n", old.ID, old.Expires.Format(time.DateOnly), old.ID)
	}
	return nil
}

// record puts what is about to happen to a key on disk. What cannot be recorded does not happen.
func (r *keyring) record(what *audit.Record) error {
	log, err := audit.Open(r.audit.Dir, audit.Options{SegmentBytes: r.audit.SegmentBytes})
	if err != nil {
		return err
	}
	return errors.Join(log.Note(what), log.Close()) // closing waits for the disk
}

// keyRecord says that somebody at this machine makes or ends a key.
func keyRecord(what string, k store.Key, now time.Time) *audit.Record {
	who := localPrincipal()
	r := &audit.Record{Time: now, Kind: "admin", Principal: who.ID, PrincKind: string(who.Kind), Method: what, Name: k.Name, Detail: "key " + k.ID}
	if what == "keys/create" {
		r.Detail += fmt.Sprintf(" until %s, servers %v, from %v", k.Expires.UTC().Format(time.RFC3339), k.Servers, k.Networks)
	}
	return r
}

// newKey makes a key, records that, and stores its hash.
func newKey(ctx stdctx.Context, st store.Store, data, name string, o opens, life time.Duration, record func(*audit.Record) error) (gatehouse.Secret, store.Key, error) {
	pepper, err := key.LoadPepper(data)
	if err != nil {
		return gatehouse.Secret{}, store.Key{}, err
	}
	secret, k, err := key.Generate(pepper, time.Now(), name, o.servers, life)
	if err != nil {
		return secret, k, err
	}
	k.Networks = o.networks
	if err := record(keyRecord("keys/create", k, k.Created)); err != nil {
		return secret, k, err
	}
	return secret, k, st.CreateKey(ctx, k)
}

func (r *keyring) rotate(ctx stdctx.Context, name string) error {
	keys, err := r.st.Keys(ctx)
	if err != nil {
		return err
	}
	have := active(keys, name, r.now)
	if len(have) == 0 {
		var known []string
		for _, k := range keys {
			known = append(known, k.Name)
		}
		return &gatehouse.Error{Code: "key.unknown", Msg: fmt.Sprintf("%s has no active key", name), Hint: orHelp(name, known, "gatehouse keys create "+name)}
	}
	old := have[len(have)-1]
	return r.make(ctx, name, opens{old.Servers, old.Networks}, &old)
}

func (r *keyring) revoke(ctx stdctx.Context, id string) error {
	k, err := r.st.Key(ctx, id)
	if err == nil {
		if err = r.record(keyRecord("keys/revoke", k, r.now)); err == nil {
			err = r.st.RevokeKey(ctx, id, r.now)
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		return &gatehouse.Error{Code: "key.unknown", Msg: fmt.Sprintf("no key has the id %s", quote(id)), Hint: "gatehouse keys list shows the ids"}
	}
	if err != nil {
		return err
	}
	if r.json {
		return writeJSON(r.out, struct {
			ID      string `json:"id"`
			Revoked bool   `json:"revoked"`
		}{id, true})
	}
	fmt.Fprintf(r.err, "key %s is revoked; a running server refuses it within a second\n", id)
	return nil
}

// row is one key of the list.
type row struct {
	ID       string         `json:"id"`
	Name     string         `json:"name"`
	State    string         `json:"state"` // active, expiring, expired or revoked
	Servers  []string       `json:"servers"`
	From     []netip.Prefix `json:"from"`
	Created  time.Time      `json:"created"`
	Expires  time.Time      `json:"expires"`
	LastUsed *time.Time     `json:"last_used"`
}

func stateOf(k store.Key, now time.Time) string {
	switch left := k.Expires.Sub(now); {
	case !k.Revoked.IsZero():
		return "revoked"
	case left <= 0:
		return "expired"
	case left <= expiring:
		return "expiring"
	}
	return "active"
}

func (r *keyring) list(ctx stdctx.Context, _ string) error {
	keys, err := r.st.Keys(ctx)
	if err != nil {
		return err
	}
	rows := []row{}
	for _, k := range keys {
		x := row{k.ID, k.Name, stateOf(k, r.now), k.Servers, k.Networks, k.Created, k.Expires, nil}
		if !k.LastUsed.IsZero() {
			x.LastUsed = &k.LastUsed
		}
		rows = append(rows, x)
	}
	if r.json {
		return writeJSON(r.out, rows)
	}
	w := tabwriter.NewWriter(r.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tSTATE\tSERVERS\tFROM\tEXPIRES\tLAST USED")
	for _, x := range rows {
		servers, from, used := "all", "any", "never"
		if len(x.Servers) > 0 {
			servers = fmt.Sprint(x.Servers)
		}
		if len(x.From) > 0 {
			from = fmt.Sprint(x.From)
		}
		if x.LastUsed != nil {
			used = x.LastUsed.Format("2006-01-02 15:04")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", x.ID, x.Name, x.State, servers, from, x.Expires.Format(time.DateOnly), used)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, x := range rows {
		if x.State == "expiring" {
			fmt.Fprintf(r.err, "key %s of %s expires on %s: gatehouse keys rotate %s\n", x.ID, x.Name, x.Expires.Format(time.DateOnly), x.Name)
		}
	}
	return nil
}
