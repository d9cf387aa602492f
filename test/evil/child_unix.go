//go:build unix

package evil

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// leave starts a process that keeps this one's standard output and error open, in a session of its own.
func leave() {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), ChildEnv+"=grandchild")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	_ = cmd.Start()
	if cmd.Process != nil {
		fmt.Fprintln(os.Stderr, "grandchild", cmd.Process.Pid)
	}
}
