//go:build linux

// Command audit measures what `rustgen audit` takes for a tree: time, CPU and memory, beside one pass of grep over the same
// Rust source, which is the least that anything that looks at all of it takes.
//
//	go run ./bench/audit [-runs 5] [-check] DIR...
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// The limits that -check holds for each tree: the time of its fastest run, and the memory of its largest. They are for about a
// million lines of Rust on two CPUs.
const (
	timeLimit   = 2 * time.Second
	memoryLimit = 600 << 20
)

func main() {
	runs := flag.Int("runs", 5, "how often to run each")
	check := flag.Bool("check", false, "fail where a tree is over the limits")
	flag.Parse()
	if err := run(flag.Args(), *runs, *check); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(trees []string, runs int, check bool) (err error) {
	if len(trees) == 0 || runs < 1 {
		return errors.New("go run ./bench/audit [-runs N] DIR... takes checked out services, and N is at least 1")
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
	fmt.Printf("%-32s %10s %10s %10s %10s\n", "tree", "audit", "its CPU", "its memory", "grep")
	over := false
	for _, tree := range trees {
		var audits, greps []cost
		for range runs {
			one, err := measured(program, "audit", tree, "--fail-on", "never")
			if err != nil {
				return err
			}
			all, err := measured("grep", "-rlw", "--include=*.rs", "await", tree)
			if err != nil {
				return err
			}
			audits, greps = append(audits, one), append(greps, all)
		}
		fastest, grep := slices.MinFunc(audits, byTime), slices.MinFunc(greps, byTime)
		memory := slices.MaxFunc(audits, func(a, b cost) int { return int(a.memory - b.memory) }).memory
		fmt.Printf("%-32s %10s %10s %7d MB %10s\n", filepath.Base(tree), short(fastest.wall), short(fastest.cpu), memory>>20, short(grep.wall))
		over = over || fastest.wall > timeLimit || memory > memoryLimit
	}
	if check && over {
		return errors.New("over the limit")
	}
	return nil
}

// cost is what one run took; memory is the most that was resident, in bytes.
type cost struct {
	wall, cpu time.Duration
	memory    int64
}

func byTime(a, b cost) int { return int(a.wall - b.wall) }

func short(d time.Duration) string { return d.Round(10 * time.Millisecond).String() }

// measured runs a program to its end. A grep that finds nothing is one as well.
func measured(name string, args ...string) (cost, error) {
	cmd := exec.Command(name, args...)
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start)
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1 && name == "grep") {
		return cost{}, fmt.Errorf("%s %v: %w", name, args, err)
	}
	usage, _ := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return cost{wall, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), usage.Maxrss << 10}, nil
}
