// SPDX-License-Identifier: Apache-2.0

// A franz-go client of the compatibility tests, and a member of a group that uses franz-go or sarama.
//
//	client produce BOOTSTRAP TOPIC CODEC    events from standard input, one a line: key, tab, value
//	client consume BOOTSTRAP TOPIC COUNT    the first COUNT events of partition 0: offset, tab, key, tab, value
//	client member franz|sarama BOOTSTRAP GROUP TOPIC [NAME=VALUE ...]    as tests/compat/member.py
//
// Idempotence is on, as it is by default. produce and consume connect as the file says that COMPAT_SECURITY names
// (security.go).
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const patience = 60 * time.Second

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func produce(ctx context.Context, bootstrap, topic, codec string) {
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	client, err := kgo.NewClient(append(security(), kgo.SeedBrokers(bootstrap), kgo.DefaultProduceTopic(topic),
		kgo.ProducerBatchCompression(codecs[codec]), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.AllowAutoTopicCreation(), kgo.ProducerLinger(20*time.Millisecond))...)
	fail(err)
	defer client.Close()
	var records []*kgo.Record
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), "\t")
		records = append(records, &kgo.Record{Key: []byte(key), Value: []byte(value)})
	}
	fail(client.ProduceSync(ctx, records...).FirstErr())
}

func consume(ctx context.Context, bootstrap, topic string, count int) {
	start := map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}
	client, err := kgo.NewClient(append(security(), kgo.SeedBrokers(bootstrap), kgo.ConsumePartitions(start))...)
	fail(err)
	defer client.Close()
	for count > 0 {
		fetches := client.PollFetches(ctx)
		for _, failed := range fetches.Errors() {
			fail(failed.Err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if count > 0 {
				fmt.Printf("%d\t%s\t%s\n", r.Offset, r.Key, r.Value)
				count--
			}
		})
	}
}

func main() {
	if os.Args[1] == "member" {
		member(os.Args[2], os.Args[3], os.Args[4], os.Args[5], os.Args[6:])
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if os.Args[1] == "produce" {
		produce(ctx, os.Args[2], os.Args[3], os.Args[4])
		return
	}
	count, err := strconv.Atoi(os.Args[4])
	fail(err)
	consume(ctx, os.Args[2], os.Args[3], count)
}
