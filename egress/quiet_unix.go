//go:build unix

package egress

import "syscall"

// isQuiet reports whether a non-blocking socket is open and has nothing to read. A byte it reads is lost, and the socket with it.
func isQuiet(fd uintptr) bool {
	var b [1]byte
	_, err := syscall.Read(int(fd), b[:])
	return err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
}
