// Command bench measures what a person waits for: the start-up of rustgen, a whole service from it beside `cp -r` of the
// same tree, and a large API compared with its service.
//
//	go run ./bench [-runs 40] [-check]
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// The limits that -check holds, for the fastest run: the others say how busy the machine was.
const (
	versionLimit = 10 * time.Millisecond
	newLimit     = 30 * time.Millisecond
	apiLimit     = 150 * time.Millisecond
)

func main() {
	runs := flag.Int("runs", 40, "how often to run each")
	check := flag.Bool("check", false, "fail where the fastest run is over its limit")
	flag.Parse()
	if err := run(*runs, *check); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(runs int, check bool) (err error) {
	if runs < 1 {
		return errors.New("-runs is at least 1")
	}
	work, err := os.MkdirTemp("", "rustgen-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	program := filepath.Join(work, "rustgen")
	if out, err := exec.Command("go", "build", "-o", program, "./cmd/rustgen").CombinedOutput(); err != nil {
		return fmt.Errorf("go build, from the top of the repository: %w\n%s", err, out)
	}
	seed := filepath.Join(work, "seed")
	if _, err := timed(program, "new", "hello", "--yes", "--vcs", "none", "--dir", seed); err != nil {
		return err
	}
	files, bytes, err := measure(seed)
	if err != nil {
		return err
	}

	large := filepath.Join(work, "large")
	if err := largeAPI(program, large); err != nil {
		return err
	}

	// In turns, so that a busy moment hits all of them.
	var version, made, copied, compared, around []time.Duration
	for i := range runs {
		n := strconv.Itoa(i)
		for _, one := range []struct {
			into *[]time.Duration
			args []string
		}{
			{&version, []string{program, "version"}},
			{&made, []string{program, "new", "hello", "--yes", "--vcs", "none", "--dir", filepath.Join(work, "new"+n)}},
			{&copied, []string{"cp", "-r", seed, filepath.Join(work, "copy"+n)}},
			{&around, []string{program, "new", "large", "--yes", "--vcs", "none", "--dir", filepath.Join(work, "around"+n), "--proto", filepath.Join(large, "proto")}},
			{&compared, []string{program, "api", "--write", "--dry-run", "--dir", large}},
		} {
			took, err := timed(one.args...)
			if err != nil {
				return err
			}
			*one.into = append(*one.into, took)
		}
	}

	fmt.Printf("%d runs each; the service has %d files, %d KiB\n\n", runs, files, bytes>>10)
	fmt.Printf("%-24s %10s %10s %10s\n", "", "fastest", "median", "limit")
	report := func(name string, all []time.Duration, limit time.Duration) {
		text := ""
		if limit > 0 {
			text = limit.String()
		}
		fmt.Printf("%-24s %10s %10s %10s\n", name, milliseconds(slices.Min(all)), milliseconds(median(all)), text)
	}
	report("rustgen version", version, versionLimit)
	report("rustgen new --vcs none", made, newLimit)
	report("cp -r of the same tree", copied, 0)
	report("rustgen api, 200 methods", compared, apiLimit)
	report("new around 200 methods", around, newLimit+apiLimit)
	fmt.Printf("\nnew / cp -r: %.1f (fastest), %.1f (median)\n",
		float64(slices.Min(made))/float64(slices.Min(copied)), float64(median(made))/float64(median(copied)))
	if check && (slices.Min(version) > versionLimit || slices.Min(made) > newLimit || slices.Min(compared) > apiLimit || slices.Min(around) > newLimit+apiLimit) {
		return errors.New("over the limit")
	}
	return nil
}

// largeAPI makes a service with 200 methods in 20 files that nothing was written for yet.
func largeAPI(program, dir string) error {
	if _, err := timed(program, "new", "large", "--yes", "--vcs", "none", "--dir", dir); err != nil {
		return err
	}
	for i := range 20 {
		text := fmt.Sprintf("syntax = \"proto3\";\npackage acme.part%d.v1;\nimport \"google/protobuf/timestamp.proto\";\nservice Part {\n", i)
		for j := range 10 {
			text += fmt.Sprintf("  // Method %d.\n  rpc Method%d(Request%d) returns (stream Reply%d);\n", j, j, j, j)
		}
		text += "}\n"
		for j := range 10 {
			text += fmt.Sprintf("message Request%d { string id = 1; google.protobuf.Timestamp at = 2; }\nmessage Reply%d { map<string, Request%d> by = 1; }\n", j, j, j)
		}
		folder := filepath.Join(dir, "proto", "acme", fmt.Sprintf("part%d", i), "v1")
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, "part.proto"), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// timed runs a program to its end.
func timed(args ...string) (time.Duration, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	if err != nil {
		return 0, fmt.Errorf("%v: %w", args, err)
	}
	return took, nil
}

func measure(dir string) (files int, bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			files++
			bytes += info.Size()
		}
		return err
	})
	return files, bytes, err
}

func median(all []time.Duration) time.Duration {
	sorted := slices.SortedFunc(slices.Values(all), cmp.Compare[time.Duration])
	return sorted[len(sorted)/2]
}

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 1, 64) + " ms"
}
