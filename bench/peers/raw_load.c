/* SPDX-License-Identifier: Apache-2.0
 *
 * The replaying load generator of bench/lib, aimed at any broker on a loopback port that speaks the Kafka protocol:
 * CreateTopics 7, Produce 9 and DeleteTopics 6, which evlogd and Apache Kafka both list. Prints one line of JSON.
 *
 * 1. run: make the topic, load it, remove it
 * 2. create, delete: the topic alone, for another load generator; each partition has acknowledged one request then, so
 *    that no load pays for a leader that was not yet elected
 * 3. first-ack: try from before a broker's start until it acknowledges an event; the wall clock then
 */
#include "../lib/bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <wire/error_code.h>
#include <wire/msg_delete_topics.h>

#define WARM_SECONDS 0.3
#define PATIENCE_NS 60000000000ull
#define RETRY_US 1000
#define ANSWER_LEN_MAX 4096u

struct raw {
    uint16_t port;
    const char *topic;
    bool memory; /* the topic acknowledges from memory; a broker of another kind refuses the setting */
    uint32_t partitions;
    uint32_t records; /* in a request */
    uint32_t value_len;
    uint32_t conns;
    uint32_t depth;
    double rate;
    double seconds;
    pid_t broker;
    struct bench_produce produces[BENCH_PARTITION_MAX];
};

/* --- topics ------------------------------------------------------------------------------------------------------- */

static void topic_delete(const struct raw *raw)
{
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    struct el_msg_delete_topics_request request;
    struct el_msg_delete_topics_response response;
    struct el_msg_delete_topics_topic topic;
    el_schema_init(&el_schema_delete_topics_request, &request);
    el_schema_init(&el_schema_delete_topics_topic, &topic);
    topic.name = el_slice_str(raw->topic);
    request.topics = &topic;
    request.topic_count = 1;
    request.timeout_ms = 30000;
    int fd = bench_connect(raw->port, true);
    bench_call(fd, EL_API_DeleteTopics, 6, &request, &arena, &response);
    if (response.response_count != 1 || response.responses[0].error_code != 0) {
        bench_die("topic %s was not removed", raw->topic);
    }
    close(fd);
    el_arena_reset(&arena);
}

static void produces_make(struct raw *raw)
{
    for (uint32_t p = 0; p < raw->partitions; p++) {
        bench_produce_make(&raw->produces[p], raw->topic, (int32_t)p, raw->records, raw->value_len, -1);
    }
}

/* --- single acknowledgements -------------------------------------------------------------------------------------- */

/* Send one request and look at its answer. returns its error code, -1 when there was none */
static int produce_once(int fd, const struct bench_produce *produce)
{
    uint8_t answer[ANSWER_LEN_MAX];
    if (send(fd, produce->frame.data, produce->frame.len, MSG_NOSIGNAL) != (ssize_t)produce->frame.len ||
        recv(fd, answer, 4, MSG_WAITALL) != 4) {
        return -1;
    }
    size_t len = el_get_be32(answer);
    if (len > ANSWER_LEN_MAX - 4 || len + 4 < produce->error_pos + 2 ||
        recv(fd, answer + 4, len, MSG_WAITALL) != (ssize_t)len) {
        return -1;
    }
    return (int)(int16_t)el_get_be16(answer + produce->error_pos);
}

/* A partition of a new topic answers "no such partition" or "not the leader" until the broker has taken it over. */
static void partitions_wait(const struct raw *raw)
{
    uint64_t until_ns = bench_now_ns() + PATIENCE_NS;
    int fd = bench_connect(raw->port, true);
    for (uint32_t p = 0; p < raw->partitions; p++) {
        int error = produce_once(fd, &raw->produces[p]);
        while (error != 0) {
            if (error < 0 || bench_now_ns() > until_ns) {
                bench_die("partition %u of %s: error %d", p, raw->topic, error);
            }
            usleep(RETRY_US);
            error = produce_once(fd, &raw->produces[p]);
        }
    }
    close(fd);
}

static void topic_create(const struct raw *raw)
{
    int fd = bench_connect(raw->port, true);
    bench_topic_create(fd, raw->topic, raw->partitions, raw->memory);
    close(fd);
    partitions_wait(raw);
}

/* A connection to a broker that may not have started; -1 when nobody listens. */
static int connect_try(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* The topic is made by the broker itself or was there: a producer's first event is what counts. */
static void first_ack(const struct raw *raw)
{
    uint64_t until_ns = bench_now_ns() + PATIENCE_NS;
    while (bench_now_ns() < until_ns) {
        int fd = connect_try(raw->port);
        if (fd >= 0) {
            struct bench_topic_ask ask = {.name = raw->topic, .partitions = raw->partitions, .memory = raw->memory};
            int error = bench_topic_try(fd, &ask);
            if ((error == 0 || error == EL_KAFKA_TOPIC_ALREADY_EXISTS) && produce_once(fd, &raw->produces[0]) == 0) {
                struct timespec t;
                clock_gettime(CLOCK_REALTIME, &t);
                printf("{\"records\": 1, \"acked_at_ns\": %lld}\n", (long long)t.tv_sec * 1000000000 + t.tv_nsec);
                close(fd);
                return;
            }
            close(fd);
        }
        usleep(RETRY_US);
    }
    bench_die("no acknowledgement from port %u", raw->port);
}

/* --- load --------------------------------------------------------------------------------------------------------- */

static void run(const struct raw *raw)
{
    struct bench_load_result r;
    struct bench_load load = {
        .port = raw->port,
        .produces = raw->produces,
        .produce_count = raw->partitions,
        .conns = raw->conns,
        .depth = raw->depth,
        .rate = raw->rate,
        .warm_seconds = WARM_SECONDS,
        .seconds = raw->seconds,
        .broker = raw->broker,
    };
    topic_create(raw);
    bench_load_run(&load, &r);
    topic_delete(raw);
    printf("{\"records\": %llu, \"seconds\": %.6f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "
           "\"broker_s\": %.6f}\n",
           (unsigned long long)r.requests * raw->records, r.seconds, r.p50_us, r.p99_us, r.p999_us,
           r.broker_us * (double)r.requests / 1e6);
}

static uint32_t number(const char *text, uint32_t max)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*end != '\0' || value == 0 || value > max) {
        bench_die("not a number from 1 to %u: %s", max, text);
    }
    return (uint32_t)value;
}

static void options(struct raw *raw, int argc, char **argv)
{
    static const struct option longs[] = {
        {"port", 1, NULL, 'p'},  {"topic", 1, NULL, 't'},   {"memory", 0, NULL, 'm'}, {"partitions", 1, NULL, 'P'},
        {"value", 1, NULL, 'v'}, {"records", 1, NULL, 'r'}, {"conns", 1, NULL, 'c'},  {"depth", 1, NULL, 'd'},
        {"rate", 1, NULL, 'R'},  {"seconds", 1, NULL, 's'}, {"pid", 1, NULL, 'b'},    {NULL, 0, NULL, 0},
    };
    for (int c = getopt_long(argc, argv, "", longs, NULL); c != -1; c = getopt_long(argc, argv, "", longs, NULL)) {
        switch (c) {
        case 'p':
            raw->port = (uint16_t)number(optarg, 65535);
            break;
        case 't':
            raw->topic = optarg;
            break;
        case 'm':
            raw->memory = true;
            break;
        case 'P':
            raw->partitions = number(optarg, BENCH_PARTITION_MAX);
            break;
        case 'v':
            raw->value_len = number(optarg, 1 << 20);
            break;
        case 'r':
            raw->records = number(optarg, 100000);
            break;
        case 'c':
            raw->conns = number(optarg, BENCH_CONN_MAX);
            break;
        case 'd':
            raw->depth = number(optarg, BENCH_DEPTH_MAX);
            break;
        case 'R':
            raw->rate = strtod(optarg, NULL);
            break;
        case 's':
            raw->seconds = strtod(optarg, NULL);
            break;
        case 'b':
            raw->broker = (pid_t)number(optarg, 1u << 30);
            break;
        default:
            bench_die("usage: raw_load run|create|delete|first-ack --port=N [--topic --memory --partitions --value "
                      "--records --conns --depth --rate --seconds --pid]");
        }
    }
}

int main(int argc, char **argv)
{
    static struct raw raw = {
        .topic = "bench", .partitions = 1, .records = 1, .value_len = 100, .conns = 1, .depth = 1, .seconds = 2};
    options(&raw, argc, argv);
    const char *verb = optind < argc ? argv[optind] : "";
    if (raw.port == 0) {
        bench_die("--port is missing");
    }
    produces_make(&raw);
    if (strcmp(verb, "run") == 0) {
        run(&raw);
    } else if (strcmp(verb, "create") == 0) {
        topic_create(&raw);
    } else if (strcmp(verb, "delete") == 0) {
        topic_delete(&raw);
    } else if (strcmp(verb, "first-ack") == 0) {
        first_ack(&raw);
    } else {
        bench_die("run, create, delete or first-ack?");
    }
    return 0;
}
