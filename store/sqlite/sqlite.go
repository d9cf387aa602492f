// Package sqlite keeps the store in one file, for a single node.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"sort"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"gatehouse/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

type db struct{ *sql.DB }

// Open opens the file, makes it when missing (mode 0600), and brings its tables up to date.
func Open(path string) (store.Store, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	q := url.Values{"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"}, "_txlock": {"immediate"}}
	sdb, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	sdb.SetMaxOpenConns(4)
	d := db{sdb}
	if err := d.migrate(context.Background()); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, err), sdb.Close())
	}
	return d, nil
}

// migrate runs the numbered files that have not run yet. They are only ever added.
func (d db) migrate(ctx context.Context) error {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	sort.Strings(names)
	tx, err := d.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	var done int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&done); err != nil {
		return err
	}
	if done > len(names) {
		return fmt.Errorf("made by a newer gatehouse (version %d of its tables; this one knows %d)", done, len(names))
	}
	for i, name := range names[done:] {
		b, err := migrations.ReadFile(name)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, string(b)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", done+i+1)); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func when(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

func (d db) CreateKey(ctx context.Context, k store.Key) error {
	_, err := d.ExecContext(ctx, `INSERT INTO access_keys (id, name, hash, servers, networks, created, expires, last_used, revoked) VALUES (?,?,?,?,?,?,?,?,?)`,
		k.ID, k.Name, k.Hash[:], strings.Join(k.Servers, " "), joinNetworks(k.Networks), unix(k.Created), unix(k.Expires), unix(k.LastUsed), unix(k.Revoked))
	if err != nil && strings.Contains(err.Error(), "UNIQUE constraint") {
		return fmt.Errorf("key %s: %w", k.ID, store.ErrExists)
	}
	return err
}

func joinNetworks(list []netip.Prefix) string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = p.String()
	}
	return strings.Join(out, " ")
}

const columns = `SELECT id, name, hash, servers, networks, created, expires, last_used, revoked FROM access_keys `

func scan(row interface{ Scan(...any) error }) (k store.Key, err error) {
	var hash []byte
	var servers, networks string
	var created, expires, used, revoked int64
	if err := row.Scan(&k.ID, &k.Name, &hash, &servers, &networks, &created, &expires, &used, &revoked); err != nil {
		return k, err
	}
	if copy(k.Hash[:], hash) != len(k.Hash) {
		return k, fmt.Errorf("key %s: hash of %d bytes", k.ID, len(hash))
	}
	k.Servers = strings.Fields(servers)
	for _, s := range strings.Fields(networks) {
		p, err := netip.ParsePrefix(s)
		if err != nil { // a range that cannot be read must not become any address
			return k, fmt.Errorf("key %s: %w", k.ID, err)
		}
		k.Networks = append(k.Networks, p)
	}
	k.Created, k.Expires, k.LastUsed, k.Revoked = when(created), when(expires), when(used), when(revoked)
	return k, nil
}

func (d db) Key(ctx context.Context, id string) (store.Key, error) {
	k, err := scan(d.QueryRowContext(ctx, columns+`WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return k, fmt.Errorf("key %s: %w", id, store.ErrNotFound)
	}
	return k, err
}

func (d db) Keys(ctx context.Context) (out []store.Key, err error) {
	rows, err := d.QueryContext(ctx, columns+`ORDER BY name, created, id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		k, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, rows.Err()
}

func (d db) RevokeKey(ctx context.Context, id string, at time.Time) error {
	return d.one(ctx, id, `UPDATE access_keys SET revoked = CASE revoked WHEN 0 THEN ? ELSE revoked END WHERE id = ?`, unix(at), id)
}

func (d db) TouchKey(ctx context.Context, id string, at time.Time) error {
	return d.one(ctx, id, `UPDATE access_keys SET last_used = max(last_used, ?) WHERE id = ?`, unix(at.Truncate(time.Minute)), id)
}

func (d db) one(ctx context.Context, id, query string, args ...any) error {
	res, err := d.ExecContext(ctx, query, args...)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err == nil && n == 0 {
		return fmt.Errorf("key %s: %w", id, store.ErrNotFound)
	}
	return nil
}
