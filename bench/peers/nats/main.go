// SPDX-License-Identifier: Apache-2.0

// Load on a NATS JetStream server: messages published by synchronous clients, each of which waits for the stream's
// acknowledgement before its next message, or by one client that keeps many acknowledgements outstanding. Prints one
// line of JSON.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const subject = "bench"

type result struct {
	Records int     `json:"records"`
	Seconds float64 `json:"seconds"`
	P50     float64 `json:"p50_us"`
	P99     float64 `json:"p99_us"`
	P999    float64 `json:"p999_us"`
	AckedAt int64   `json:"acked_at_ns"` // wall clock, of the first acknowledgement
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "nats_load:", err)
		os.Exit(1)
	}
}

func connect(url string) jetstream.JetStream {
	conn, err := nats.Connect(url)
	must(err)
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(1<<20))
	must(err)
	return js
}

// A new file-backed stream with one replica.
func stream(ctx context.Context, js jetstream.JetStream) error {
	_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "bench", Subjects: []string{subject},
		Storage: jetstream.FileStorage, Replicas: 1})
	return err
}

// One message after the other until the time is over; the times in nanoseconds.
func synchronous(ctx context.Context, js jetstream.JetStream, payload []byte, until time.Time) []int64 {
	var took []int64
	for now := time.Now(); now.Before(until); {
		_, err := js.Publish(ctx, subject, payload)
		must(err)
		end := time.Now()
		took = append(took, end.Sub(now).Nanoseconds())
		now = end
	}
	return took
}

// depth acknowledgements outstanding at a time on one connection.
func asynchronous(js jetstream.JetStream, payload []byte, until time.Time, depth int) []int64 {
	type pending struct {
		ack   jetstream.PubAckFuture
		since time.Time
	}
	var took []int64
	flying := make(chan pending, depth-1) // and the one that is waited for
	done := make(chan struct{})
	go func() {
		for p := range flying {
			select {
			case <-p.ack.Ok():
			case err := <-p.ack.Err():
				must(err)
			}
			took = append(took, time.Since(p.since).Nanoseconds())
		}
		close(done)
	}()
	for now := time.Now(); now.Before(until); now = time.Now() {
		ack, err := js.PublishAsync(subject, payload)
		must(err)
		flying <- pending{ack, now}
	}
	close(flying)
	<-done
	return took
}

func quantile(sorted []int64, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[min(len(sorted)-1, int(float64(len(sorted))*share))]) / 1000
}

// Try until a server answers: the time from its start to its first acknowledgement.
func firstAck(url string, payload []byte, limit time.Duration) int64 {
	for until := time.Now().Add(limit); time.Now().Before(until); time.Sleep(time.Millisecond) {
		conn, err := nats.Connect(url, nats.NoReconnect())
		if err != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		js, err := jetstream.New(conn)
		must(err)
		if err = stream(ctx, js); err == nil {
			_, err = js.Publish(ctx, subject, payload)
		}
		cancel()
		conn.Close()
		if err == nil {
			return time.Now().UnixNano()
		}
	}
	must(fmt.Errorf("no acknowledgement in %v", limit))
	return 0
}

func main() {
	url := flag.String("url", "nats://127.0.0.1:4222", "server")
	size := flag.Int("value", 100, "bytes of a message")
	clients := flag.Int("clients", 1, "synchronous clients, each with a connection")
	depth := flag.Int("depth", 1, "acknowledgements outstanding on one connection; 1 is synchronous")
	seconds := flag.Float64("seconds", 2, "time")
	first := flag.Bool("first-ack", false, "wait for a server to start and for its first acknowledgement")
	flag.Parse()
	payload := make([]byte, *size)
	for i := range payload {
		payload[i] = byte(i * 131)
	}
	ctx := context.Background()
	var r result
	if *first {
		r.AckedAt = firstAck(*url, payload, 30*time.Second)
		r.Records = 1
		must(json.NewEncoder(os.Stdout).Encode(r))
		return
	}
	all := make([]jetstream.JetStream, *clients)
	for i := range all {
		all[i] = connect(*url)
	}
	_ = all[0].DeleteStream(ctx, "bench")
	must(stream(ctx, all[0]))
	from := time.Now()
	until := from.Add(time.Duration(*seconds * float64(time.Second)))
	took := make([][]int64, *clients)
	if *depth > 1 {
		took[0] = asynchronous(all[0], payload, until, *depth)
	} else {
		var group sync.WaitGroup
		for i, js := range all {
			group.Go(func() { took[i] = synchronous(ctx, js, payload, until) })
		}
		group.Wait()
	}
	r.Seconds = time.Since(from).Seconds()
	sorted := slices.Concat(took...)
	slices.Sort(sorted)
	r.Records = len(sorted)
	r.P50, r.P99, r.P999 = quantile(sorted, 0.5), quantile(sorted, 0.99), quantile(sorted, 0.999)
	must(all[0].DeleteStream(ctx, "bench"))
	must(json.NewEncoder(os.Stdout).Encode(r))
}
