package audit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-json-experiment/json"
)

// Read calls f for every record in dir in order. A last line that was torn by a crash is passed over: nobody was told
// it is durable. Any other line that is no record is an error with its place.
func Read(dir string, f func(Record) error) error {
	files, err := segments(dir)
	if err != nil {
		return err
	}
	for _, path := range files {
		if err := readSegment(path, f); err != nil {
			return err
		}
	}
	return nil
}

func readSegment(path string, f func(Record) error) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	r := bufio.NewReader(in)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var rec Record
		if err := json.Unmarshal(line, &rec); err != nil {
			return fmt.Errorf("%s:%d: no record: %w", path, n, err)
		}
		if err := f(rec); err != nil {
			return err
		}
	}
}
