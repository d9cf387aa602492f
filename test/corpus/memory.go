package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// memory is what importing one document costs: a process of its own parses it and plans every operation.
type memory struct {
	Name       string        `json:"name"`
	Bytes      int64         `json:"bytes"`
	Operations int           `json:"operations"`
	Parse      time.Duration `json:"parse"`
	Plans      time.Duration `json:"plans"`
	Schemas    int           `json:"schemas"` // bytes of all input schemas
	Peak       string        `json:"peak"`    // VmHWM
}

func (m memory) String() string {
	return fmt.Sprintf("%s: %d MB, %d operations, parse %.2f s, all plans %.2f s, %.1f KB a schema, peak %s", m.Name, m.Bytes>>20, m.Operations,
		m.Parse.Seconds(), m.Plans.Seconds(), float64(m.Schemas)/1024/float64(max(1, m.Operations)), m.Peak)
}

// measure is the child's part.
func measure(m mapping, file string) (*memory, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	out := &memory{Name: file, Bytes: int64(len(b))}
	start := used()
	doc, err := m.parse(file, b, beside(file))
	if err != nil {
		return nil, err
	}
	out.Parse, start = used()-start, used()
	out.Operations = len(doc.operations)
	for i := range doc.operations {
		if p, err := doc.plan(i); err == nil {
			out.Schemas += len(p.input)
		}
	}
	out.Plans = used() - start
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return out, nil // not Linux
	}
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			out.Peak = strings.TrimSpace(v)
		}
	}
	return out, nil
}

// measured runs this program again for one document.
func measured(s source) (memory, error) {
	self, err := os.Executable()
	if err != nil {
		return memory{}, err
	}
	b, err := exec.Command(self, "-memory", s.file).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return memory{}, fmt.Errorf("%s: %s", s.name, exit.Stderr)
		}
		return memory{}, err
	}
	var m memory
	err = json.Unmarshal(b, &m)
	m.Name = s.name
	return m, err
}
