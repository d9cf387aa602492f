package main

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// source is one document of the corpus.
type source struct {
	name, file string
	size       int64
}

// documents lists the documents below the folders, by name. Folders named parts hold what documents refer to.
func documents(dirs []string) ([]source, error) {
	var out []source
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(file string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if e.IsDir() {
				if e.Name() == "parts" {
					return fs.SkipDir
				}
				return nil
			}
			ext := filepath.Ext(file)
			if ext != ".json" && ext != ".yaml" && ext != ".yml" || strings.HasSuffix(file, ".deref.json") {
				return nil
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			name, err := filepath.Rel(dir, file)
			out = append(out, source{label(dir) + filepath.ToSlash(name), file, info.Size()})
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b source) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

// label goes before the names of documents that the big collection does not hold.
func label(dir string) string {
	switch filepath.Base(dir) {
	case "generated":
		return "octokit/"
	case "docs":
		return "hand-made/"
	}
	return ""
}

// sampled keeps n documents, the same ones every time.
func sampled(list []source, n int) []source {
	if n <= 0 || n >= len(list) {
		return list
	}
	hash := func(s source) uint64 {
		h := fnv.New64a()
		_, _ = h.Write([]byte(s.name))
		return h.Sum64()
	}
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b source) int { return cmp.Compare(hash(a), hash(b)) })
	list = list[:n]
	slices.SortFunc(list, func(a, b source) int { return strings.Compare(a.name, b.name) })
	return list
}

// run checks the documents, the largest first so that the workers end together.
func run(m mapping, list []source, workers int, progress func(*DocResult)) []*DocResult {
	order := slices.Clone(list)
	slices.SortStableFunc(order, func(a, b source) int { return cmp.Compare(b.size, a.size) })
	work, results := make(chan source), make(chan *DocResult)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for s := range work {
				results <- bounded(m, s)
			}
		})
	}
	go func() {
		for _, s := range order {
			work <- s
		}
		close(work)
		wg.Wait()
		close(results)
	}()
	var out []*DocResult
	for r := range results {
		out = append(out, r)
		progress(r)
	}
	slices.SortFunc(out, func(a, b *DocResult) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// hang is when a document is given up: the mapping's own time is measured apart, this is for a call that never returns.
const hang = 15 * time.Minute

func bounded(m mapping, s source) *DocResult {
	done := make(chan *DocResult, 1)
	go func() {
		b, err := os.ReadFile(s.file)
		if err != nil {
			done <- &DocResult{Name: s.name, Fault: err.Error()}
			return
		}
		done <- checkDocument(m, s.name, s.file, b, beside(s.file))
	}()
	t := time.NewTimer(hang)
	defer t.Stop()
	select {
	case r := <-done:
		return r
	case <-t.C:
		return &DocResult{Name: s.name, Bytes: int(s.size), Fault: "no end after " + hang.String(), Crashed: true}
	}
}

// beside reads the documents that a document refers to: those in its own folder and below.
func beside(file string) func(string) ([]byte, error) {
	dir := filepath.Dir(file)
	return func(place string) ([]byte, error) {
		rel, err := filepath.Rel(dir, place)
		if err != nil || !filepath.IsLocal(rel) {
			return nil, fmt.Errorf("%s is not below the document's folder", place)
		}
		return os.ReadFile(place)
	}
}
