package builtin

import (
	"path/filepath"

	"gatehouse/store"
	"gatehouse/store/sqlite"
)

// OpenStore opens the store of a data folder.
func OpenStore(dir string) (store.Store, error) {
	return sqlite.Open(filepath.Join(dir, "gatehouse.db"))
}
