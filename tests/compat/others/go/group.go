// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"
)

const heartbeat = 300 * time.Millisecond

// The partitions that a member has; a change is printed. Callbacks and the reader use it at once.
type held struct {
	sync.Mutex
	partitions map[int32]bool
	last       string
}

func (h *held) change(add, remove []int32) {
	h.Lock()
	defer h.Unlock()
	if h.partitions == nil {
		h.partitions = map[int32]bool{}
	}
	for _, p := range remove {
		delete(h.partitions, p)
	}
	for _, p := range add {
		h.partitions[p] = true
	}
	var numbers []int
	for p := range h.partitions {
		numbers = append(numbers, int(p))
	}
	sort.Ints(numbers)
	now := "assigned " + strings.Trim(strings.ReplaceAll(fmt.Sprint(numbers), " ", ","), "[]")
	if now != h.last {
		fmt.Println(now)
		h.last = now
	}
}

func milliseconds(options map[string]string, name string) int64 {
	number, err := strconv.ParseInt(options[name], 10, 64)
	fail(err)
	return number
}

func franzMember(ctx context.Context, bootstrap, group, topic string, options map[string]string) {
	var have held
	given := []kgo.Opt{kgo.SeedBrokers(bootstrap), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.HeartbeatInterval(heartbeat),
		kgo.SessionTimeout(time.Duration(milliseconds(options, "session")) * time.Millisecond),
		kgo.FetchMaxWait(50 * time.Millisecond), kgo.Balancers(kgo.RangeBalancer()),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, now map[string][]int32) {
			have.change(now[topic], nil)
		}),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, now map[string][]int32) {
			if len(now[topic]) > 0 {
				fmt.Println("revoked")
			}
			have.change(nil, now[topic])
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, now map[string][]int32) {
			have.change(nil, now[topic])
		})}
	if options["strategy"] == "cooperative" {
		given = append(given, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	}
	if options["instance"] != "" {
		given = append(given, kgo.InstanceID(options["instance"]))
	}
	if options["since"] != "" {
		at := kgo.NewOffset().AfterMilli(milliseconds(options, "since"))
		given = append(given, kgo.AdjustFetchOffsetsFn(func(_ context.Context, all map[string]map[int32]kgo.Offset) (
			map[string]map[int32]kgo.Offset, error) {
			for _, partitions := range all {
				for p := range partitions {
					partitions[p] = at
				}
			}
			return all, nil
		}))
	}
	client, err := kgo.NewClient(given...)
	fail(err)
	defer client.Close()
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		fetches.EachRecord(func(r *kgo.Record) {
			fmt.Printf("event %d %d %s\n", r.Partition, r.Offset, r.Value)
		})
		if !fetches.Empty() {
			if err := client.CommitUncommittedOffsets(context.Background()); err != nil {
				fmt.Println("not committed:", err)
			}
		}
	}
}

type handler struct {
	have  *held
	topic string
}

func (h handler) Setup(session sarama.ConsumerGroupSession) error {
	h.have.change(session.Claims()[h.topic], nil)
	return nil
}

func (h handler) Cleanup(session sarama.ConsumerGroupSession) error {
	fmt.Println("revoked")
	h.have.change(nil, session.Claims()[h.topic])
	return nil
}

func (h handler) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		fmt.Printf("event %d %d %s\n", message.Partition, message.Offset, message.Value)
		session.MarkMessage(message, "")
		session.Commit()
	}
	return nil
}

func saramaMember(ctx context.Context, bootstrap, group, topic string, options map[string]string) {
	config := sarama.NewConfig()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.Heartbeat.Interval = heartbeat
	config.Consumer.Group.Session.Timeout = time.Duration(milliseconds(options, "session")) * time.Millisecond
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyRange()}
	config.Consumer.Group.InstanceId = options["instance"]
	config.Consumer.MaxWaitTime = 50 * time.Millisecond
	client, err := sarama.NewConsumerGroup([]string{bootstrap}, group, config)
	fail(err)
	var have held
	for ctx.Err() == nil {
		if err := client.Consume(ctx, []string{topic}, handler{&have, topic}); err != nil &&
			!errors.Is(err, sarama.ErrClosedConsumerGroup) {
			fmt.Fprintln(os.Stderr, err)
			time.Sleep(heartbeat)
		}
	}
	fail(client.Close())
}

func member(library, bootstrap, group, topic string, words []string) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	options := map[string]string{}
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		options[name] = value
	}
	if library == "franz" {
		franzMember(ctx, bootstrap, group, topic, options)
	} else {
		saramaMember(ctx, bootstrap, group, topic, options)
	}
}
