//go:build !unix

package testenv

import "os/exec"

func group(*exec.Cmd) {}

func end(cmd *exec.Cmd, ended <-chan struct{}) {
	_ = cmd.Process.Kill()
	<-ended
}
