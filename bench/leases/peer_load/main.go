// SPDX-License-Identifier: Apache-2.0

// Work on messages of NATS JetStream or RabbitMQ, as bench/leases/lease_load.c does on events of evlog, with the same
// words and options. Prints one line of JSON.
package main

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	name     = "bench" // of stream, consumer and queue
	patience = 180 * time.Second
)

type options struct {
	count, keys, fail, workers, inflight, value int
	delay                                       time.Duration
	rate                                        float64
}

// One delivery of a message.
type delivery struct {
	body  []byte
	first bool // not delivered before
	tag   any
}

// A system with one queue. A worker has a connection of its own.
type queue interface {
	create(o *options)                       // the queue, empty
	fill(count int, body func(i int) []byte) // return when all are stored
	publisher() func(body []byte)            // publishes one after the other, waiting for each
	worker(o *options, ahead bool) worker    // ahead: messages are asked for before the last ones are done
	waiting(o *options, count int)           // return when so many wait for their retry
}

// The calls of one goroutine.
type worker interface {
	next(max int) []delivery // at least one, unless nothing came for a while
	ack(done []delivery)     // return when the server has confirmed, where it does
	nack(failed []delivery, after time.Duration)
	close()
}

type result struct {
	Records int     `json:"records"`
	Seconds float64 `json:"seconds"`
	P50     float64 `json:"p50_us"`
	P99     float64 `json:"p99_us"`
	P999    float64 `json:"p999_us"`
	Failed  int64   `json:"failed"`
	AckedAt int64   `json:"acked_at_ns"` // wall clock, of the first acknowledgement
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer_load:", err)
		os.Exit(1)
	}
}

func quantile(sorted []time.Duration, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[min(len(sorted)-1, int(float64(len(sorted))*share))].Nanoseconds()) / 1000
}

// Message i begins with i; the rest does not compress.
func body(size int) func(i int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	return func(i int) []byte {
		b := make([]byte, size)
		for n := 8; n < size; n++ {
			b[n] = byte(random.Uint32())
		}
		binary.LittleEndian.PutUint64(b, uint64(i))
		return b
	}
}

func number(d delivery) int {
	return int(binary.LittleEndian.Uint64(d.body))
}

// What all workers of a run share.
type run struct {
	o           *options
	wanted      int64
	done        atomic.Int64
	failed      atomic.Int64
	first, last atomic.Int64 // monotonic, since base
	base        time.Time
	due         []atomic.Int64
}

func (r *run) began() {
	r.first.CompareAndSwap(0, int64(time.Since(r.base))+1)
}

func (r *run) count(n int) bool {
	done := r.done.Add(int64(n))
	if n > 0 && done >= r.wanted {
		r.last.Store(int64(time.Since(r.base)))
	}
	return done < r.wanted
}

func (r *run) fails(d delivery) bool {
	return r.o.fail > 0 && number(d)%r.o.keys%r.o.fail == 0
}

// Acknowledge what does not fail.
func (r *run) work(w worker) (took []time.Duration) {
	until := time.Now().Add(patience)
	joined := false // the round in which it began is not counted
	for more := true; more && r.done.Load() < r.wanted; {
		from := time.Now()
		got := w.next(r.o.inflight)
		if len(got) > 0 {
			r.began()
		}
		good := slices.Collect(func(yield func(delivery) bool) {
			for _, d := range got {
				if !r.fails(d) && !yield(d) {
					return
				}
			}
		})
		bad := slices.DeleteFunc(got, func(d delivery) bool { return !r.fails(d) })
		if len(bad) > 0 {
			w.nack(bad, r.o.delay)
			r.failed.Add(int64(len(bad)))
		}
		if len(good) > 0 {
			w.ack(good)
			if joined {
				took = append(took, time.Since(from))
			}
			joined = true
		}
		more = r.count(len(good))
		if time.Now().After(until) {
			must(fmt.Errorf("%d of %d messages were done in time", r.done.Load(), r.wanted))
		}
	}
	return took
}

// Let every message fail.
func (r *run) wait(w worker) []time.Duration {
	for more := true; more && r.done.Load() < r.wanted; {
		got := w.next(r.o.inflight)
		if len(got) > 0 {
			r.began()
			w.nack(got, r.o.delay)
		}
		more = r.count(len(got))
	}
	return nil
}

// Keep every message, whoever it came to.
func (r *run) hold(w worker) []time.Duration {
	for r.done.Load() < r.wanted {
		got := w.next(r.o.inflight)
		if len(got) > 0 {
			r.began()
		}
		r.count(len(got))
	}
	return nil
}

// Let each message fail once; how long after it was due it came again.
func (r *run) retry(w worker) (late []time.Duration) {
	for more := true; more && r.done.Load() < r.wanted; {
		var first, again []delivery
		for _, d := range w.next(r.o.inflight) {
			r.began()
			now := int64(time.Since(r.base))
			if d.first {
				r.due[number(d)].Store(now + int64(r.o.delay))
				first = append(first, d)
				continue
			}
			late = append(late, max(0, time.Duration(now-r.due[number(d)].Load())))
			again = append(again, d)
		}
		if len(first) > 0 {
			w.nack(first, r.o.delay)
		}
		if len(again) > 0 {
			w.ack(again)
		}
		more = r.count(len(again))
	}
	return late
}

func publishAtTimes(o *options, publish func([]byte)) {
	make := body(o.value)
	from := time.Now()
	for i := range o.count {
		time.Sleep(time.Until(from.Add(time.Duration(float64(i+1) / o.rate * float64(time.Second)))))
		publish(make(i))
	}
}

func workers(q queue, o *options, verb string) result {
	r := &run{o: o, wanted: int64(o.count), base: time.Now()}
	do := map[string]func(worker) []time.Duration{"work": r.work, "wait": r.wait, "hold": r.hold, "retry": r.retry}[verb]
	if verb == "work" {
		r.wanted = 0
		for i := range o.count {
			if o.fail == 0 || i%o.keys%o.fail != 0 {
				r.wanted++
			}
		}
	}
	if verb == "retry" {
		r.due = make([]atomic.Int64, o.count)
	}
	all := make([]worker, o.workers)
	for i := range all {
		all[i] = q.worker(o, verb != "work" || o.inflight > 1)
	}
	var group sync.WaitGroup
	took := make([][]time.Duration, o.workers)
	for i := range all {
		group.Go(func() { took[i] = do(all[i]) })
	}
	if verb == "retry" {
		publishAtTimes(o, q.publisher())
	}
	group.Wait()
	if verb == "wait" {
		q.waiting(o, o.count)
		r.last.Store(int64(time.Since(r.base)))
	}
	sorted := slices.Concat(took...)
	slices.Sort(sorted)
	out := result{Records: int(r.done.Load()), Seconds: float64(r.last.Load()-r.first.Load()) / 1e9,
		P50: quantile(sorted, 0.5), P99: quantile(sorted, 0.99), P999: quantile(sorted, 0.999), Failed: r.failed.Load()}
	if verb == "hold" {
		must(json.NewEncoder(os.Stdout).Encode(out))
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0) // the end of the connections gives the messages back
	}
	for _, w := range all {
		w.close()
	}
	return out
}

func main() {
	peer := flag.String("peer", "nats", "nats or rabbit")
	url := flag.String("url", "", "server")
	o := &options{}
	flag.IntVar(&o.count, "count", 10000, "messages")
	flag.IntVar(&o.keys, "keys", 10000, "message i has key i % keys")
	flag.IntVar(&o.fail, "fail", 0, "the messages of one key in so many fail")
	flag.IntVar(&o.workers, "workers", 1, "connections")
	flag.IntVar(&o.inflight, "inflight", 1, "messages in the hands of a worker")
	flag.IntVar(&o.value, "value", 100, "bytes of a message")
	flag.Float64Var(&o.rate, "rate", 0, "retry: messages a second")
	first := flag.Int("first", 0, "fill: number of the first message; if not 0 the queue is there already")
	delay := flag.Int("delay", 1000, "milliseconds until a message that failed comes again")
	flag.Parse()
	o.delay = time.Duration(*delay) * time.Millisecond
	if *peer == "first-ack" { // NATS has nats_load
		must(json.NewEncoder(os.Stdout).Encode(result{Records: 1, AckedAt: rabbitFirstAck(*url)}))
		return
	}
	var q queue = &natsQueue{url: *url}
	if *peer == "rabbit" {
		q = &rabbitQueue{url: *url}
	}
	var r result
	switch verb := flag.Arg(0); verb {
	case "fill":
		if *first == 0 {
			q.create(o)
		}
		from := time.Now()
		q.fill(o.count, body(o.value))
		r = result{Records: o.count, Seconds: time.Since(from).Seconds()}
	case "retry":
		q.create(o)
		r = workers(q, o, verb)
	case "work", "wait", "hold":
		r = workers(q, o, verb)
	default:
		must(fmt.Errorf("fill, work, retry, hold or wait?"))
	}
	must(json.NewEncoder(os.Stdout).Encode(r))
}
