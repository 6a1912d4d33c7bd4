package tree

import (
	"bytes"
	"errors"
	"runtime"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// memberSize is how much of what is compressed one member of the archive holds. The bytes of an archive depend on it.
const memberSize = 256 << 10

// members compresses what is written to it on all processors. A gzip file is a sequence of members, which every reader
// takes for one stream; where they are divided depends on their size alone, and so the same input gives the same bytes.
type members struct {
	next   []byte
	done   []*member
	places chan struct{}
}

// member is one of them, once ready is closed.
type member struct {
	data  bytes.Buffer
	err   error
	ready chan struct{}
}

// writers are used again: each has tables that are dear to make.
var writers = sync.Pool{New: func() any {
	// The level is one that there is.
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	return w
}}

func (m *members) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if m.next == nil {
			m.next = make([]byte, 0, memberSize)
		}
		fits := min(len(p), memberSize-len(m.next))
		m.next = append(m.next, p[:fits]...)
		p = p[fits:]
		if len(m.next) == memberSize {
			m.compress()
		}
	}
	return n, nil
}

// compress begins a member with what was written since the last one. It waits where all processors have one.
func (m *members) compress() {
	if m.places == nil {
		m.places = make(chan struct{}, runtime.GOMAXPROCS(0))
	}
	m.places <- struct{}{}
	one, from := &member{ready: make(chan struct{})}, m.next
	m.done, m.next = append(m.done, one), nil
	go func() {
		one.data.Grow(len(from) / 3)
		w := writers.Get().(*gzip.Writer)
		w.Reset(&one.data)
		_, err := w.Write(from)
		one.err = errors.Join(err, w.Close())
		writers.Put(w)
		<-m.places
		close(one.ready)
	}()
}

// close is all that was written, compressed.
func (m *members) close() ([]byte, error) {
	if len(m.next) > 0 {
		m.compress()
	}
	var all bytes.Buffer
	var err error
	for _, one := range m.done {
		<-one.ready
		all.Write(one.data.Bytes())
		err = errors.Join(err, one.err)
	}
	return all.Bytes(), err
}
