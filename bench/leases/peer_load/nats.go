// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	batchMax   = 1000 // messages of an atomic batch
	pendingMax = 2_000_000
)

// A work queue: a stream whose messages go when they are acknowledged, and a consumer with explicit acknowledgements.
type natsQueue struct {
	url string
}

func (q *natsQueue) connect() (*nats.Conn, jetstream.JetStream) {
	conn, err := nats.Connect(q.url)
	must(err)
	js, err := jetstream.New(conn)
	must(err)
	return conn, js
}

func (q *natsQueue) create(o *options) {
	ctx := context.Background()
	conn, js := q.connect()
	defer conn.Close()
	_ = js.DeleteStream(ctx, name)
	_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{name}, Replicas: 1,
		Storage: jetstream.FileStorage, Retention: jetstream.WorkQueuePolicy, AllowAtomicPublish: true})
	must(err)
	_, err = js.CreateConsumer(ctx, name, jetstream.ConsumerConfig{Durable: name, MaxAckPending: pendingMax,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: 10 * time.Minute, MaxDeliver: -1})
	must(err)
}

// Atomic batches: one acknowledgement, and one wait for it, for each thousand.
func (q *natsQueue) fill(count int, body func(int) []byte) {
	conn, _ := q.connect()
	defer conn.Close()
	for from := 0; from < count; from += batchMax {
		n := min(batchMax, count-from)
		for i := range n {
			m := &nats.Msg{Subject: name, Data: body(from + i), Header: nats.Header{}}
			m.Header.Set("Nats-Batch-Id", fmt.Sprint("fill-", from))
			m.Header.Set("Nats-Batch-Sequence", fmt.Sprint(i+1))
			if i < n-1 {
				must(conn.PublishMsg(m))
				continue
			}
			m.Header.Set("Nats-Batch-Commit", "1")
			answer, err := conn.RequestMsg(m, time.Minute)
			must(err)
			if len(answer.Data) > 9 && string(answer.Data[:9]) == `{"error":` {
				must(fmt.Errorf("batch: %s", answer.Data))
			}
		}
	}
}

func (q *natsQueue) publisher() func([]byte) {
	_, js := q.connect()
	return func(b []byte) {
		_, err := js.Publish(context.Background(), name, b)
		must(err)
	}
}

func (q *natsQueue) waiting(*options, int) {}

type natsWorker struct {
	conn     *nats.Conn
	consumer jetstream.Consumer
	inbox    string
	answers  *nats.Subscription
	stream   chan jetstream.Msg // nil: one message at a time
	stop     func()
}

func (q *natsQueue) worker(o *options, ahead bool) worker {
	conn, js := q.connect()
	consumer, err := js.Consumer(context.Background(), name, name)
	must(err)
	w := &natsWorker{conn: conn, consumer: consumer, inbox: conn.NewInbox()}
	w.answers, err = conn.SubscribeSync(w.inbox)
	must(err)
	must(w.answers.SetPendingLimits(-1, -1))
	if ahead {
		w.stream = make(chan jetstream.Msg, o.inflight)
		c, err := consumer.Consume(func(m jetstream.Msg) { w.stream <- m }, jetstream.PullMaxMessages(o.inflight))
		must(err)
		w.stop = c.Stop
	}
	return w
}

func natsDelivery(m jetstream.Msg) delivery {
	meta, err := m.Metadata()
	must(err)
	return delivery{body: m.Data(), first: meta.NumDelivered == 1, tag: m}
}

func (w *natsWorker) next(most int) (got []delivery) {
	if w.stream == nil {
		batch, err := w.consumer.Fetch(most, jetstream.FetchMaxWait(100*time.Millisecond))
		must(err)
		for m := range batch.Messages() {
			got = append(got, natsDelivery(m))
		}
		return got
	}
	select {
	case m := <-w.stream:
		got = append(got, natsDelivery(m))
	case <-time.After(100 * time.Millisecond):
		return nil
	}
	for len(got) < most {
		select {
		case m := <-w.stream:
			got = append(got, natsDelivery(m))
			continue
		default:
		}
		break
	}
	return got
}

// What Msg.DoubleAck does for one, for many at the same time: each acknowledgement asks for an answer.
func (w *natsWorker) ack(done []delivery) {
	for _, d := range done {
		must(w.conn.PublishRequest(d.tag.(jetstream.Msg).Reply(), w.inbox, []byte("+ACK")))
	}
	for range done {
		_, err := w.answers.NextMsg(time.Minute)
		must(err)
	}
}

func (w *natsWorker) nack(failed []delivery, after time.Duration) {
	for _, d := range failed {
		must(d.tag.(jetstream.Msg).NakWithDelay(after))
	}
	must(w.conn.Flush())
}

func (w *natsWorker) close() {
	if w.stop != nil {
		w.stop()
	}
	w.conn.Close()
}
