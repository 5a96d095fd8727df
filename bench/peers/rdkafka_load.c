/* SPDX-License-Identifier: Apache-2.0
 *
 * librdkafka as a load generator on a topic that `raw_load create` made. Prints one line of JSON.
 *
 * 1. produce: as many events as asked, idempotent, until all are acknowledged
 * 2. consume: as many events from the start of all partitions
 * 3. ack: events at fixed times, linger 0; how long after it was due each was acknowledged
 * 4. e2e: the same, how long after it was due each came to a consumer in this process
 *
 * Times of 3 and 4 count from when an event was due, so that a stall is not hidden by the events it kept from being
 * sent. What is not acknowledged or received a while after the last event ends the wait and is said ("missing").
 */
#include "../lib/bench.h"

#include <getopt.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define VALUE_LEN_MAX 65536u
#define BATCH 1000
#define PATIENCE_MS 30000
#define WARM_SHARE 0.2 /* of the events at fixed times; their times are not kept */

struct rd {
    const char *verb;
    uint16_t port;
    const char *topic;
    int32_t partitions;
    uint32_t value_len;
    uint64_t count;
    double rate;
    uint8_t value[VALUE_LEN_MAX];
    struct bench_histogram histogram; /* of the thread that polls */
    uint64_t keep_ns;                 /* events due before this are warm-up */
    atomic_ullong done;
    atomic_bool over;
};

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != RD_KAFKA_CONF_OK) {
        bench_die("%s", text);
    }
}

static rd_kafka_conf_t *conf_new(const struct rd *rd)
{
    char address[64];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    snprintf(address, sizeof address, "127.0.0.1:%u", rd->port);
    set(conf, "bootstrap.servers", address);
    set(conf, "socket.nagle.disable", "true");
    set(conf, "broker.address.family", "v4");
    return conf;
}

static rd_kafka_t *client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char text[256];
    rd_kafka_t *client = rd_kafka_new(type, conf, text, sizeof text);
    if (client == NULL) {
        bench_die("%s", text);
    }
    return client;
}

static void print(const struct rd *rd, double seconds)
{
    printf("{\"records\": %llu, \"seconds\": %.6f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "
           "\"missing\": %llu}\n",
           (unsigned long long)rd->done, seconds, bench_histogram_us(&rd->histogram, 0.5),
           bench_histogram_us(&rd->histogram, 0.99), bench_histogram_us(&rd->histogram, 0.999),
           (unsigned long long)(rd->count - rd->done));
}

/* --- producers ---------------------------------------------------------------------------------------------------- */

static void keep(struct rd *rd, uint64_t due_ns)
{
    if (due_ns >= rd->keep_ns) {
        bench_histogram_add(&rd->histogram, bench_now_ns() - due_ns);
    }
    rd->done++;
}

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *arg)
{
    struct rd *rd = arg;
    if (message->err != 0) {
        bench_die("not delivered: %s", rd_kafka_err2str(message->err));
    }
    if (rd->rate > 0 && strcmp(rd->verb, "ack") == 0) {
        keep(rd, (uint64_t)(uintptr_t)message->_private);
    }
}

static rd_kafka_t *producer_new(struct rd *rd)
{
    rd_kafka_conf_t *conf = conf_new(rd);
    set(conf, "enable.idempotence", "true"); /* and so acks=all */
    set(conf, "queue.buffering.max.messages", "1000000");
    set(conf, "queue.buffering.max.kbytes", "1048576");
    set(conf, "linger.ms", rd->rate > 0 ? "0" : "5");
    set(conf, "delivery.report.only.error", rd->rate > 0 ? "false" : "true");
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_opaque(conf, rd);
    return client_new(RD_KAFKA_PRODUCER, conf);
}

static void send_one(const struct rd *rd, rd_kafka_t *client, rd_kafka_topic_t *topic, uint64_t i, uint64_t due_ns)
{
    int32_t partition = (int32_t)(i % (uint64_t)rd->partitions);
    while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, (void *)(uintptr_t)rd->value, rd->value_len, NULL, 0,
                            (void *)(uintptr_t)due_ns) != 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            bench_die("produce: %s", rd_kafka_err2str(rd_kafka_last_error()));
        }
        rd_kafka_poll(client, 1);
    }
}

static void run_produce(struct rd *rd)
{
    rd_kafka_t *client = producer_new(rd);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, rd->topic, NULL);
    uint64_t from_ns = bench_now_ns();
    for (uint64_t i = 0; i < rd->count; i++) {
        send_one(rd, client, topic, i, 0);
        if (i % BATCH == 0) {
            rd_kafka_poll(client, 0);
        }
    }
    if (rd_kafka_flush(client, PATIENCE_MS) != 0) {
        bench_die("not all was acknowledged");
    }
    double seconds = (double)(bench_now_ns() - from_ns) / 1e9;
    rd->done = rd->count;
    print(rd, seconds);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(client);
}

static void *poll_thread(void *arg)
{
    void **pair = arg;
    struct rd *rd = pair[0];
    while (!rd->over) {
        rd_kafka_poll(pair[1], 10);
    }
    return NULL;
}

/* Send at fixed times: whatever is due, however late. */
static void send_at_times(struct rd *rd, rd_kafka_t *client, rd_kafka_topic_t *topic)
{
    uint64_t step_ns = (uint64_t)(1e9 / rd->rate), due_ns = bench_now_ns() + step_ns;
    rd->keep_ns = due_ns + (uint64_t)((double)rd->count * WARM_SHARE) * step_ns;
    for (uint64_t i = 0; i < rd->count; i++, due_ns += step_ns) {
        struct timespec t = {(time_t)(due_ns / 1000000000u), (long)(due_ns % 1000000000u)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
        memcpy(rd->value, &due_ns, sizeof due_ns);
        send_one(rd, client, topic, i, due_ns);
    }
}

static void wait_done(struct rd *rd)
{
    uint64_t until_ns = bench_now_ns() + PATIENCE_MS * 1000000ull;
    while (rd->done < rd->count && bench_now_ns() < until_ns) {
        struct timespec t = {0, 1000000};
        nanosleep(&t, NULL);
    }
    rd->over = true;
}

static void run_at_times(struct rd *rd, rd_kafka_t *client)
{
    pthread_t poller;
    void *pair[2] = {rd, client};
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, rd->topic, NULL);
    if (pthread_create(&poller, NULL, poll_thread, pair) != 0) {
        bench_die("no thread");
    }
    uint64_t from_ns = bench_now_ns();
    send_at_times(rd, client, topic);
    wait_done(rd);
    double seconds = (double)(bench_now_ns() - from_ns) / 1e9;
    pthread_join(poller, NULL);
    print(rd, seconds);
    rd_kafka_topic_destroy(topic);
}

static void run_ack(struct rd *rd)
{
    rd_kafka_t *client = producer_new(rd);
    run_at_times(rd, client);
    rd_kafka_destroy(client);
}

/* --- consumers ---------------------------------------------------------------------------------------------------- */

/* All partitions from offset 1: the first event of each is that of `raw_load create`. The queue is as long as the
 * topic: librdkafka pauses for a second when it is full. */
static rd_kafka_t *consumer_new(const struct rd *rd)
{
    rd_kafka_conf_t *conf = conf_new(rd);
    set(conf, "group.id", "bench");
    set(conf, "enable.auto.commit", "false");
    set(conf, "queued.min.messages", "10000000");
    set(conf, "queued.max.messages.kbytes", "2097151");
    rd_kafka_t *client = client_new(RD_KAFKA_CONSUMER, conf);
    rd_kafka_poll_set_consumer(client);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(rd->partitions);
    for (int32_t p = 0; p < rd->partitions; p++) {
        rd_kafka_topic_partition_list_add(list, rd->topic, p)->offset = 1;
    }
    if (rd_kafka_assign(client, list) != 0) {
        bench_die("assign");
    }
    rd_kafka_topic_partition_list_destroy(list);
    return client;
}

static void check(const rd_kafka_message_t *message)
{
    if (message->err != 0) {
        bench_die("consume: %s", rd_kafka_message_errstr(message));
    }
}

/* Time counts from the first events on: once in some hundred times librdkafka itself sleeps for a second before its
 * first fetch, from whichever broker. */
static void run_consume(struct rd *rd)
{
    rd_kafka_message_t *messages[BATCH];
    uint64_t last_ns = bench_now_ns(), from_ns = 0;
    unsigned long long first = 0;
    rd_kafka_t *client = consumer_new(rd);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(client);
    while (rd->done < rd->count && bench_now_ns() - last_ns < PATIENCE_MS * 1000000ull) {
        ssize_t n = rd_kafka_consume_batch_queue(queue, 100, messages, BATCH);
        for (ssize_t i = 0; i < n; i++) {
            check(messages[i]);
            rd_kafka_message_destroy(messages[i]);
        }
        rd->done += n > 0 ? (unsigned long long)n : 0;
        last_ns = n > 0 ? bench_now_ns() : last_ns;
        if (n > 0 && first == 0) {
            first = rd->done;
            from_ns = last_ns;
        }
    }
    if (rd->done == first) {
        bench_die("too few events to measure");
    }
    print(rd, (double)(last_ns - from_ns) / 1e9 * (double)rd->done / (double)(rd->done - first));
    rd_kafka_queue_destroy(queue);
    rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
}

static void *consume_thread(void *arg)
{
    void **pair = arg;
    struct rd *rd = pair[0];
    while (!rd->over) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(pair[1], 10);
        if (message != NULL) {
            uint64_t due_ns;
            check(message);
            memcpy(&due_ns, message->payload, sizeof due_ns);
            keep(rd, due_ns);
            rd_kafka_message_destroy(message);
        }
    }
    return NULL;
}

static void run_e2e(struct rd *rd)
{
    pthread_t thread;
    rd_kafka_t *consumer = consumer_new(rd);
    void *pair[2] = {rd, consumer};
    if (pthread_create(&thread, NULL, consume_thread, pair) != 0) {
        bench_die("no thread");
    }
    rd_kafka_t *producer = producer_new(rd);
    run_at_times(rd, producer);
    pthread_join(thread, NULL);
    rd_kafka_destroy(producer);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
}

/* --- main --------------------------------------------------------------------------------------------------------- */

static void options(struct rd *rd, int argc, char **argv)
{
    static const struct option longs[] = {
        {"port", 1, NULL, 'p'},  {"topic", 1, NULL, 't'}, {"partitions", 1, NULL, 'P'}, {"value", 1, NULL, 'v'},
        {"count", 1, NULL, 'c'}, {"rate", 1, NULL, 'r'},  {NULL, 0, NULL, 0},
    };
    for (int c = getopt_long(argc, argv, "", longs, NULL); c != -1; c = getopt_long(argc, argv, "", longs, NULL)) {
        switch (c) {
        case 'p':
            rd->port = (uint16_t)strtoul(optarg, NULL, 10);
            break;
        case 't':
            rd->topic = optarg;
            break;
        case 'P':
            rd->partitions = (int32_t)strtol(optarg, NULL, 10);
            break;
        case 'v':
            rd->value_len = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'c':
            rd->count = strtoull(optarg, NULL, 10);
            break;
        case 'r':
            rd->rate = strtod(optarg, NULL);
            break;
        default:
            bench_die(
                "usage: rdkafka_load version|produce|consume|ack|e2e --port=N [--topic --partitions --value --count "
                "--rate]");
        }
    }
    rd->verb = optind < argc ? argv[optind] : "";
    if (rd->port == 0 || rd->partitions < 1 || rd->value_len < 8 || rd->value_len > VALUE_LEN_MAX || rd->count == 0) {
        bench_die("a value is missing or out of range");
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *verb;
        void (*run)(struct rd *rd);
    } verbs[] = {{"produce", run_produce}, {"consume", run_consume}, {"ack", run_ack}, {"e2e", run_e2e}};
    static struct rd rd = {.topic = "bench", .partitions = 1, .value_len = 100};
    if (argc == 2 && strcmp(argv[1], "version") == 0) {
        printf("librdkafka %s\n", rd_kafka_version_str());
        return 0;
    }
    options(&rd, argc, argv);
    uint64_t random = 88172645463325252u;
    for (size_t i = 0; i < rd.value_len; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        rd.value[i] = (uint8_t)random;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verbs[i].verb, rd.verb) == 0) {
            verbs[i].run(&rd);
            return 0;
        }
    }
    bench_die("produce, consume, ack or e2e?");
}
