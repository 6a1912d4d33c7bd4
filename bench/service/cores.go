package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// cores are those of the server and those of the load generator: none is in both, so that the load takes nothing from the
// server that is measured.
type cores struct{ server, generator unix.CPUSet }

// splitCores gives each half of the cores that this process may use.
func splitCores() (cores, error) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return cores{}, err
	}
	if all.Count() < 2 {
		return cores{}, errors.New("one core is too few: the server and the load generator need cores of their own")
	}
	var split cores
	for _, core := range numbers(all) {
		if split.server.Count() < all.Count()/2 {
			split.server.Set(core)
		} else {
			split.generator.Set(core)
		}
	}
	return split, nil
}

func numbers(set unix.CPUSet) (all []int) {
	for core := 0; len(all) < set.Count(); core++ {
		if set.IsSet(core) {
			all = append(all, core)
		}
	}
	return all
}

// String is for the page.
func (c cores) String() string {
	list := func(set unix.CPUSet) string {
		var names []string
		for _, core := range numbers(set) {
			names = append(names, strconv.Itoa(core))
		}
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("server on core %s, load generator on core %s", list(c.server), list(c.generator))
}

// keepToGenerator moves this process to the cores of the generator, and with it what it starts from then on.
func (c cores) keepToGenerator() error {
	// A thread that is made meanwhile has the cores of the one that made it: the second time all have been seen.
	for range 2 {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, thread := range threads {
			id, err := strconv.Atoi(thread.Name())
			if err != nil {
				return err
			}
			if err := unix.SchedSetaffinity(id, &c.generator); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
	}
	runtime.GOMAXPROCS(c.generator.Count())
	return nil
}

// onServer calls start with this thread on the cores of the server: a process that it starts stays there.
func (c cores) onServer(start func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.SchedSetaffinity(0, &c.server); err != nil {
		return err
	}
	return errors.Join(start(), unix.SchedSetaffinity(0, &c.generator))
}
