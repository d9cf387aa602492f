//go:build !linux

package main

import "time"

var start = time.Now()

func used() time.Duration { return time.Since(start) }
