// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	unconfirmedMax = 5000
	retryQueue     = name + "-retry"
)

// A quorum queue. It has no retry after a while, so a message that failed goes the usual way: rejected, it is a dead
// letter in a second quorum queue, whose time to live is the delay and whose dead letters come back.
type rabbitQueue struct {
	url string
}

func (q *rabbitQueue) connect() (*amqp.Connection, *amqp.Channel) {
	conn, err := amqp.Dial(q.url)
	must(err)
	ch, err := conn.Channel()
	must(err)
	return conn, ch
}

func quorum(target string, ttl time.Duration) amqp.Table {
	t := amqp.Table{"x-queue-type": "quorum", "x-dead-letter-exchange": "", "x-dead-letter-routing-key": target,
		"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}
	if ttl > 0 {
		t["x-message-ttl"] = ttl.Milliseconds()
	}
	return t
}

func (q *rabbitQueue) create(o *options) {
	conn, ch := q.connect()
	defer conn.Close()
	for _, queue := range []string{name, retryQueue} {
		_, err := ch.QueueDelete(queue, false, false, false)
		must(err)
	}
	_, err := ch.QueueDeclare(name, true, false, false, false, quorum(retryQueue, 0))
	must(err)
	_, err = ch.QueueDeclare(retryQueue, true, false, false, false, quorum(name, o.delay))
	must(err)
}

func confirmed(c *amqp.DeferredConfirmation) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	good, err := c.WaitContext(ctx)
	must(err)
	if !good {
		must(fmt.Errorf("not confirmed"))
	}
}

func publish(ch *amqp.Channel, body []byte) *amqp.DeferredConfirmation {
	c, err := ch.PublishWithDeferredConfirm("", name, false, false,
		amqp.Publishing{DeliveryMode: amqp.Persistent, Body: body})
	must(err)
	return c
}

func (q *rabbitQueue) fill(count int, body func(int) []byte) {
	conn, ch := q.connect()
	defer conn.Close()
	must(ch.Confirm(false))
	var flying []*amqp.DeferredConfirmation
	for i := range count {
		flying = append(flying, publish(ch, body(i)))
		if len(flying) == unconfirmedMax {
			confirmed(flying[0])
			flying = flying[1:]
		}
	}
	for _, c := range flying {
		confirmed(c)
	}
}

func (q *rabbitQueue) publisher() func([]byte) {
	_, ch := q.connect()
	must(ch.Confirm(false))
	return func(b []byte) { confirmed(publish(ch, b)) }
}

// A rejection is not confirmed, so the messages in the second queue are asked for.
func (q *rabbitQueue) waiting(o *options, count int) {
	conn, ch := q.connect()
	defer conn.Close()
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		state, err := ch.QueueDeclarePassive(retryQueue, true, false, false, false, quorum(name, o.delay))
		must(err)
		if state.Messages >= count {
			return
		}
	}
	must(fmt.Errorf("not all messages came to the second queue"))
}

type rabbitWorker struct {
	conn   *amqp.Connection
	ch     *amqp.Channel
	stream <-chan amqp.Delivery
	most   int
}

func (q *rabbitQueue) worker(o *options, ahead bool) worker {
	conn, ch := q.connect()
	must(ch.Qos(o.inflight, 0, false))
	stream, err := ch.Consume(name, "", false, false, false, false, nil)
	must(err)
	return &rabbitWorker{conn: conn, ch: ch, stream: stream, most: max(1, o.inflight/2)}
}

func rabbitDelivery(m amqp.Delivery) delivery {
	_, died := m.Headers["x-death"]
	return delivery{body: m.Body, first: !died, tag: m}
}

// At most half of what is in flight, so that the next ones are on their way while these are worked on.
func (w *rabbitWorker) next(most int) (got []delivery) {
	select {
	case m, open := <-w.stream:
		if !open {
			must(fmt.Errorf("the channel was closed"))
		}
		got = append(got, rabbitDelivery(m))
	case <-time.After(100 * time.Millisecond):
		return nil
	}
	for len(got) < min(most, w.most) {
		select {
		case m := <-w.stream:
			got = append(got, rabbitDelivery(m))
			continue
		case <-time.After(time.Millisecond):
		}
		break
	}
	return got
}

// One acknowledgement for all up to the last one: what failed among them was rejected before. AMQP confirms none; the
// next message comes when this has been applied.
func (w *rabbitWorker) ack(done []delivery) {
	must(w.ch.Ack(done[len(done)-1].tag.(amqp.Delivery).DeliveryTag, true))
}

func (w *rabbitWorker) nack(failed []delivery, _ time.Duration) {
	for _, d := range failed {
		must(w.ch.Reject(d.tag.(amqp.Delivery).DeliveryTag, false))
	}
}

func (w *rabbitWorker) close() {
	w.conn.Close()
}

// Try until a server answers: the time from its start to its first confirmation.
func rabbitFirstAck(url string) int64 {
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		conn, err := amqp.Dial(url)
		if err != nil {
			continue
		}
		conn.Close()
		q := &rabbitQueue{url: url}
		q.create(&options{delay: time.Second})
		q.fill(1, body(100))
		return time.Now().UnixNano()
	}
	must(fmt.Errorf("no acknowledgement in %v", patience))
	return 0
}
