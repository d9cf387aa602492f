//go:build unix

package evil

import (
	"os"
	"os/exec"
	"syscall"
)

// start starts a process that keeps this one's standard output and error open, in a session of its own when it leaves.
func start(leaves bool) (pid int) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), ChildEnv+"=grandchild")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: leaves}
	if cmd.Start() != nil {
		return 0
	}
	return cmd.Process.Pid
}
