package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"
)

// peer speaks HTTP/2 as no client library would.
type peer struct {
	conn   net.Conn
	framer *http2.Framer
	write  sync.Mutex

	headers bytes.Buffer
	encoder *hpack.Encoder
	stream  uint32

	// What the server said.
	mu         sync.Mutex
	room       *sync.Cond
	connWindow int64
	windows    map[uint32]int64
	initial    int64
	frameSize  uint32
	goAway     atomic.Int64
	closed     atomic.Bool
}

// meet opens a connection. With deaf, the peer gives the server no room for replies, and reads only what lets it send on.
func meet(address string, deaf bool) (*peer, error) {
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return nil, err
	}
	p := &peer{
		conn: conn, framer: http2.NewFramer(conn, conn), stream: 1,
		connWindow: 65_535, initial: 65_535, windows: map[uint32]int64{}, frameSize: 16 << 10,
	}
	p.room = sync.NewCond(&p.mu)
	p.encoder = hpack.NewEncoder(&p.headers)
	p.goAway.Store(-1)
	// A peer that nobody lets write must not wait for ever.
	_ = conn.SetWriteDeadline(time.Now().Add(time.Minute))
	settings := []http2.Setting{}
	if deaf {
		settings = append(settings, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	}
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		conn.Close()
		return nil, err
	}
	if err := p.framer.WriteSettings(settings...); err != nil {
		conn.Close()
		return nil, err
	}
	go p.listen()
	return p, nil
}

func (p *peer) listen() {
	defer func() {
		p.mu.Lock()
		p.closed.Store(true)
		p.mu.Unlock()
		p.room.Broadcast()
	}()
	for {
		frame, err := p.framer.ReadFrame()
		if err != nil {
			return
		}
		p.mu.Lock()
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if f.IsAck() {
				break
			}
			if value, ok := f.Value(http2.SettingInitialWindowSize); ok {
				for id := range p.windows {
					p.windows[id] += int64(value) - p.initial
				}
				p.initial = int64(value)
			}
			if value, ok := f.Value(http2.SettingMaxFrameSize); ok {
				p.frameSize = value
			}
			go func() {
				p.write.Lock()
				defer p.write.Unlock()
				_ = p.framer.WriteSettingsAck()
			}()
		case *http2.WindowUpdateFrame:
			if f.StreamID == 0 {
				p.connWindow += int64(f.Increment)
			} else if _, open := p.windows[f.StreamID]; open {
				p.windows[f.StreamID] += int64(f.Increment)
			}
		case *http2.RSTStreamFrame:
			delete(p.windows, f.StreamID)
		case *http2.GoAwayFrame:
			p.goAway.Store(int64(f.ErrCode))
		case *http2.PingFrame:
			if !f.IsAck() {
				data := f.Data
				go func() {
					p.write.Lock()
					defer p.write.Unlock()
					_ = p.framer.WritePing(true, data)
				}()
			}
		}
		p.mu.Unlock()
		p.room.Broadcast()
	}
}

// call sends the head of a call and returns its stream.
func (p *peer) call(path string, end bool, more ...hpack.HeaderField) (uint32, error) {
	p.write.Lock()
	defer p.write.Unlock()
	p.headers.Reset()
	for _, field := range append([]hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: path},
		{Name: ":authority", Value: "bench"}, {Name: "te", Value: "trailers"}, {Name: "content-type", Value: "application/grpc"},
	}, more...) {
		field.Sensitive = true
		if err := p.encoder.WriteField(field); err != nil {
			return 0, err
		}
	}
	id := p.stream
	p.stream += 2
	p.mu.Lock()
	p.windows[id] = p.initial
	p.mu.Unlock()
	block := p.headers.Bytes()
	first := block[:min(len(block), 16<<10)]
	rest := block[len(first):]
	err := p.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: first, EndStream: end, EndHeaders: len(rest) == 0,
	})
	for err == nil && len(rest) > 0 {
		part := rest[:min(len(rest), 16<<10)]
		rest = rest[len(part):]
		err = p.framer.WriteContinuation(id, len(rest) == 0, part)
	}
	return id, err
}

// data sends bytes of a call's request as fast as the server gives room for them, until the time is over.
func (p *peer) data(id uint32, data []byte, end bool, until time.Time) error {
	wake := time.AfterFunc(time.Until(until), p.room.Broadcast)
	defer wake.Stop()
	for len(data) > 0 {
		p.mu.Lock()
		window, open := p.windows[id]
		for open && min(window, p.connWindow) <= 0 && !p.closed.Load() && time.Now().Before(until) {
			p.room.Wait()
			window, open = p.windows[id]
		}
		if !open || p.closed.Load() || !time.Now().Before(until) {
			p.mu.Unlock()
			return fmt.Errorf("stream %d takes no more", id)
		}
		part := data[:min(int64(len(data)), window, p.connWindow, int64(p.frameSize))]
		p.windows[id] -= int64(len(part))
		p.connWindow -= int64(len(part))
		p.mu.Unlock()
		data = data[len(part):]
		p.write.Lock()
		err := p.framer.WriteData(id, end && len(data) == 0, part)
		p.write.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *peer) reset(id uint32) error {
	p.write.Lock()
	defer p.write.Unlock()
	return p.framer.WriteRSTStream(id, http2.ErrCodeCancel)
}

func (p *peer) hangUp() { p.conn.Close() }

// message is a request as gRPC frames it.
func message(m proto.Message) []byte {
	body, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return append(prefix(len(body)), body...)
}

func prefix(length int) []byte {
	return []byte{0, byte(length >> 24), byte(length >> 16), byte(length >> 8), byte(length)}
}

// filler is a header that fits one entry of the list.
func filler(size int) hpack.HeaderField {
	return hpack.HeaderField{Name: "x-filler", Value: strings.Repeat("v", size)}
}
