// Package seal encrypts and authenticates what Gatehouse hands out and must be able to trust when it comes back: session
// ids, cursors, request state. Keys are derived once, when a Box is made.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrOpen says that sealed text was not made by this key for this purpose, or was altered.
var ErrOpen = errors.New("seal: not made here, or altered")

// Box seals for one purpose. It is safe for concurrent use.
type Box struct{ aead cipher.AEAD }

// New derives the box of a purpose ("session", "cursor", "state") from a master key of 32 bytes (HKDF-SHA-256, AES-256-GCM).
func New(master []byte, purpose string) (*Box, error) {
	if len(master) != 32 {
		return nil, fmt.Errorf("sealing key has %d bytes, want 32", len(master))
	}
	key, err := hkdf.Key(sha256.New, master, nil, "gatehouse/seal/"+purpose+"/v1", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &Box{aead}, nil
}

// Seal returns plain, encrypted and bound to the context bind, as URL-safe base64.
func (b *Box) Seal(plain, bind []byte) string {
	return base64.RawURLEncoding.EncodeToString(b.aead.Seal(nil, nil, plain, bind))
}

// Open undoes Seal, or returns ErrOpen.
func (b *Box) Open(text string, bind []byte) ([]byte, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(text) != base64.RawURLEncoding.EncodedLen(len(raw)) { // the decoder skips line breaks: two texts would be one
		return nil, ErrOpen
	}
	plain, err := b.aead.Open(nil, nil, raw, bind)
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

// LoadKey reads the key file of 32 bytes, or makes it (mode 0600) when it does not exist.
func LoadKey(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		key = make([]byte, 32)
		rand.Read(key)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
		return makeKey(path, key)
	}
	if err != nil {
		return nil, err
	}
	if len(key) != 32 {
		return nil, fmt.Errorf("%s: key has %d bytes, want 32; remove the file to have a new one made", path, len(key))
	}
	return key, nil
}

// makeKey puts a new key in place, whole or not at all: a process that starts at the same moment never sees half of it.
func makeKey(path string, key []byte) ([]byte, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-") // mode 0600
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(key)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	if err = os.Link(f.Name(), path); errors.Is(err, os.ErrExist) { // another process was faster
		return LoadKey(path)
	}
	return key, err
}
