package vcs

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"rustgen/internal/git"
)

// bound is the most that a transfer may bring and take: what a server sends is its choice.
type bound struct {
	bytes int64
	time  time.Duration
}

// The bounds of fetching a template set, and of asking for its tags.
var (
	fetchBound = bound{bytes: 512 << 20, time: 10 * time.Minute}
	askBound   = bound{bytes: 16 << 20, time: time.Minute}
)

// watchEvery is how often the size of what has come is looked at: a line of 10 Gbit/s brings 125 MB in that time.
const watchEvery = 100 * time.Millisecond

// transfer runs a git that talks to another machine, and ends it where it takes longer, answers more, or brings more into
// the directory into than is allowed; "" is none.
func transfer(ctx context.Context, c git.Call, into string, most bound) (string, error) {
	// A server that sends next to nothing is given up sooner; what is received is kept as it comes.
	c.Config = append(c.Config, "http.lowSpeedLimit=1000", "http.lowSpeedTime=60", "fetch.unpackLimit=1")
	c.Limit = int(min(most.bytes, git.DefaultLimit))
	tooLarge := fmt.Errorf("git %s: more than %d MiB are sent, and no more is taken", c.Args[0], most.bytes>>20)
	tooLong := fmt.Errorf("git %s: it is not done in %v", c.Args[0], most.time)

	run, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	run, end := context.WithTimeoutCause(run, most.time, tooLong)
	defer end()
	watched := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(watched)
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				if size(into) > most.bytes {
					stop(tooLarge)
					return
				}
			}
		}
	}()
	out, err := git.Run(run, c)
	close(done)
	<-watched
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case run.Err() != nil:
		return "", context.Cause(run)
	case err == nil && size(into) > most.bytes:
		return "", tooLarge
	default:
		return out, err
	}
}

// size is what the files below a directory take; none is 0. What comes and goes meanwhile is passed over.
func size(dir string) int64 {
	var sum int64
	if dir == "" {
		return 0
	}
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
		return nil
	})
	return sum
}
