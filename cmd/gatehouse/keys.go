package main

import (
	stdctx "context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"gatehouse"
	"gatehouse/builtin"
	"gatehouse/config"
	"gatehouse/identity/key"
	"gatehouse/store"
)

// maxActive bounds the active keys of one name: the one in use and its successor.
const maxActive = 2

// keyFlags are the flags of every keys command.
type keyFlags struct {
	data, config string
	json         bool
	servers      names
	days         int
}

// names is a flag that may be given several times.
type names []string

func (n *names) String() string     { return fmt.Sprint(*n) }
func (n *names) Set(s string) error { *n = append(*n, s); return nil }

// runKeys makes, lists and ends access keys.
func runKeys(c *context, args []string) int {
	var k keyFlags
	f := c.flags("keys", "create NAME [--server S]… [--days N] | list | rotate NAME | revoke ID   [--data DIR | --config FILE] [--json]")
	f.StringVar(&k.data, "data", "", "data folder (default: that of the configuration)")
	f.StringVar(&k.config, "config", "gatehouse.yaml", "configuration file")
	f.BoolVar(&k.json, "json", false, "print JSON")
	f.Var(&k.servers, "server", "published server the key opens; several times for several (default: all)")
	f.IntVar(&k.days, "days", 90, "days until the key expires, at most 90")
	rest, err := parse(f, args)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return ok
		}
		return usage
	}
	want := map[string]int{"create": 2, "list": 1, "rotate": 2, "revoke": 2}
	if len(rest) == 0 || want[rest[0]] != len(rest) {
		f.Usage()
		return usage
	}
	if k.data == "" {
		cfg, err := config.Load(k.config)
		if err != nil {
			return c.fail(err)
		}
		k.data = cfg.Data
	}
	if err := os.MkdirAll(k.data, 0o700); err != nil {
		return c.fail(err)
	}
	st, err := builtin.OpenStore(k.data)
	if err != nil {
		return c.fail(err)
	}
	defer st.Close()
	ctx := stdctx.Background()
	switch rest[0] {
	case "create":
		err = createKey(ctx, c, st, k, rest[1], k.servers)
	case "rotate":
		err = rotateKey(ctx, c, st, k, rest[1])
	case "revoke":
		err = revokeKey(ctx, c, st, rest[1])
	case "list":
		err = listKeys(ctx, c.out, st, k.json)
	}
	if err != nil {
		return c.fail(err)
	}
	return ok
}

func active(keys []store.Key, name string, now time.Time) (out []store.Key) {
	for _, k := range keys {
		if k.Name == name && k.Revoked.IsZero() && now.Before(k.Expires) {
			out = append(out, k)
		}
	}
	return out
}

func createKey(ctx stdctx.Context, c *context, st store.Store, f keyFlags, name string, servers []string) error {
	keys, err := st.Keys(ctx)
	if err != nil {
		return err
	}
	if n := len(active(keys, name, time.Now())); n >= maxActive {
		return &gatehouse.Error{Code: "key.active", Msg: fmt.Sprintf("%s has %d active keys already", name, n), Hint: "revoke the older one: gatehouse keys list, then gatehouse keys revoke ID"}
	}
	secret, k, err := newKey(ctx, st, f.data, name, servers, time.Duration(f.days)*24*time.Hour)
	if err != nil {
		return err
	}
	if f.json {
		return writeJSON(c.out, struct {
			ID      string    `json:"id"`
			Name    string    `json:"name"`
			Key     string    `json:"key"`
			Servers []string  `json:"servers"`
			Expires time.Time `json:"expires"`
		}{k.ID, k.Name, secret.Reveal(), k.Servers, k.Expires})
	}
	fmt.Fprintln(c.out, secret.Reveal())
	fmt.Fprintf(c.err, "key %s of %s, good until %s; it is shown this once\n", k.ID, k.Name, k.Expires.Format(time.DateOnly))
	return nil
}

// newKey makes a key and stores its hash.
func newKey(ctx stdctx.Context, st store.Store, data, name string, servers []string, life time.Duration) (gatehouse.Secret, store.Key, error) {
	pepper, err := key.LoadPepper(data)
	if err != nil {
		return gatehouse.Secret{}, store.Key{}, err
	}
	secret, k, err := key.Generate(pepper, time.Now(), name, servers, life)
	if err != nil {
		return secret, k, err
	}
	return secret, k, st.CreateKey(ctx, k)
}

func rotateKey(ctx stdctx.Context, c *context, st store.Store, f keyFlags, name string) error {
	keys, err := st.Keys(ctx)
	if err != nil {
		return err
	}
	have := active(keys, name, time.Now())
	if len(have) == 0 {
		return &gatehouse.Error{Code: "key.unknown", Msg: fmt.Sprintf("%s has no active key", name), Hint: "make one: gatehouse keys create " + name}
	}
	old := have[len(have)-1]
	if err := createKey(ctx, c, st, f, name, old.Servers); err != nil {
		return err
	}
	fmt.Fprintf(c.err, "key %s stays good until %s; when the new one is in place: gatehouse keys revoke %s\n", old.ID, old.Expires.Format(time.DateOnly), old.ID)
	return nil
}

func revokeKey(ctx stdctx.Context, c *context, st store.Store, id string) error {
	err := st.RevokeKey(ctx, id, time.Now())
	if errors.Is(err, store.ErrNotFound) {
		return &gatehouse.Error{Code: "key.unknown", Msg: fmt.Sprintf("no key has the id %s", id), Hint: "gatehouse keys list shows the ids"}
	}
	if err == nil {
		fmt.Fprintf(c.err, "key %s is revoked; a running server refuses it within a second\n", id)
	}
	return err
}

func listKeys(ctx stdctx.Context, out io.Writer, st store.Store, asJSON bool) error {
	keys, err := st.Keys(ctx)
	if err != nil {
		return err
	}
	type row struct {
		ID       string     `json:"id"`
		Name     string     `json:"name"`
		State    string     `json:"state"`
		Servers  []string   `json:"servers"`
		Created  time.Time  `json:"created"`
		Expires  time.Time  `json:"expires"`
		LastUsed *time.Time `json:"last_used"`
	}
	rows := []row{}
	for _, k := range keys {
		r := row{k.ID, k.Name, "active", k.Servers, k.Created, k.Expires, nil}
		if !k.LastUsed.IsZero() {
			r.LastUsed = &k.LastUsed
		}
		switch {
		case !k.Revoked.IsZero():
			r.State = "revoked"
		case !time.Now().Before(k.Expires):
			r.State = "expired"
		}
		rows = append(rows, r)
	}
	if asJSON {
		return writeJSON(out, rows)
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tSTATE\tSERVERS\tEXPIRES\tLAST USED")
	for _, r := range rows {
		servers, used := "all", "never"
		if len(r.Servers) > 0 {
			servers = fmt.Sprint(r.Servers)
		}
		if r.LastUsed != nil {
			used = r.LastUsed.Format("2006-01-02 15:04")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.Name, r.State, servers, r.Expires.Format(time.DateOnly), used)
	}
	return w.Flush()
}

func writeJSON(out io.Writer, v any) error {
	b, err := json.Marshal(v, jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	_, err = out.Write(append(b, '\n'))
	return err
}
