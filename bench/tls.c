/* SPDX-License-Identifier: Apache-2.0
 *
 * What TLS costs: the same events through a plain listener and through one with TLS of the same broker, and connections
 * made by each.
 *
 * 1. openssl makes a certificate for each kind of key, in the data folder.
 * 2. Events of 1 KB, not compressed, are published and read by the library, on one connection each way; their topic
 *    promises nothing, so that no disk is measured.
 * 3. One thread encrypts and decrypts records in memory: what the library of TLS can do, without a broker.
 * 4. One client connects, asks ApiVersions and closes, again and again: the whole of a handshake on both sides.
 *
 * "broker" is processor time of all threads of evlogd. Plain is the limit that TLS is held against, and no processor
 * encrypts faster than the library does in memory.
 */
#include "lib/bench.h"

#include <core/tls.h>
#include <evlog/evlog.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wire/msg_api_versions.h>

#define VALUE_LEN 1000u
#define EVENTS_A_SECOND 60000u
#define WIRE_ROOM (64u << 10)

struct tls_bench {
    struct bench_options options;
    struct bench_broker broker;
    char ca[600], key[600]; /* files; the certificate signs itself */
    uint16_t tls_port;
    uint64_t event_count;
    struct el_tls_config *tls;
};

static void check(int rc, const struct evlog_failure *failure, const char *what)
{
    if (rc < 0) {
        bench_die("%s: %s", what, failure->text);
    }
}

/* A certificate that signs itself, which clients trust as their CA. */
static void start(struct tls_bench *b, const char *kind)
{
    static char listeners[] = "--listeners=PLAINTEXT://127.0.0.1:0,SSL://127.0.0.1:0";
    static char certificate[700], key[700];
    char command[2000], stem[560];
    snprintf(stem, sizeof stem, "%s/bench-tls-%d", b->options.data, (int)getpid());
    snprintf(b->ca, sizeof b->ca, "%s.pem", stem);
    snprintf(b->key, sizeof b->key, "%s.key", stem);
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey %s -nodes -days 60 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 "
             "-keyout %s -out %s 2>/dev/null",
             kind, b->key, b->ca);
    if (system(command) != 0) {
        bench_die("openssl makes no certificate in %s", b->options.data);
    }
    snprintf(certificate, sizeof certificate, "--ssl-certificate-file=%s", b->ca);
    snprintf(key, sizeof key, "--ssl-key-file=%s", b->key);
    b->options.extra[0] = listeners;
    b->options.extra[1] = certificate;
    b->options.extra[2] = key;
    bench_broker_start(&b->broker, &b->options);
    const char *port = strstr(b->broker.ready, "SSL://127.0.0.1:");
    if (port == NULL) {
        bench_die("no listener with TLS: %s", b->broker.ready);
    }
    b->tls_port = (uint16_t)strtoul(port + strlen("SSL://127.0.0.1:"), NULL, 10);
    struct el_error err;
    struct el_tls_options options = {.ca_file = b->ca};
    if (el_tls_config_open(&options, &b->tls, &err) != 0) {
        bench_die("%s", err.text);
    }
}

static void end(struct tls_bench *b)
{
    el_tls_config_unref(b->tls);
    bench_broker_end(&b->broker);
    (void)unlink(b->key);
    (void)unlink(b->ca);
}

/* --- events ------------------------------------------------------------------------------------------------------- */

static struct evlog_client *open_client(const struct tls_bench *b, bool secure)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_settings *settings;
    struct evlog_client *client;
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%u", secure ? b->tls_port : b->broker.port);
    const char *const pairs[][2] = {{"bootstrap.servers", address},
                                    {"compression.type", "none"},
                                    {"batch.size", "262144"},
                                    {"security.protocol", secure ? "ssl" : "plaintext"},
                                    {"ssl.ca.location", secure ? b->ca : ""}};
    if (evlog_settings_new(&settings) != 0) {
        bench_die("out of memory");
    }
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        check(evlog_settings_set(settings, pairs[i][0], pairs[i][1], &failure), &failure, "settings");
    }
    check(evlog_client_open(settings, &client, &failure), &failure, "client");
    evlog_settings_free(settings);
    return client;
}

static void publish_all(const struct tls_bench *b, struct evlog_client *client, const char *topic)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_producer *producer;
    uint8_t value[VALUE_LEN];
    memset(value, 'x', sizeof value);
    check(evlog_producer_open(client, &producer, &failure), &failure, "producer");
    for (uint64_t i = 0; i < b->event_count; i++) {
        struct evlog_message message = EVLOG_MESSAGE_INIT;
        message.topic = topic;
        message.value = (struct evlog_bytes){value, VALUE_LEN};
        check(evlog_publish_async(producer, &message, NULL, NULL, &failure), &failure, "publish");
    }
    check(evlog_flush(producer, -1, &failure), &failure, "flush");
    evlog_producer_close(producer);
}

static void read_all(const struct tls_bench *b, struct evlog_client *client, const char *topic)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_consumer_options options = EVLOG_CONSUMER_OPTIONS_INIT;
    struct evlog_consumer *consumer;
    const struct evlog_event *event;
    uint64_t count = 0;
    int rc;
    options.topic = topic;
    check(evlog_consumer_open(client, &options, &consumer, &failure), &failure, "consumer");
    check(evlog_consumer_assign(consumer, 0, 0, (int64_t)b->event_count, &failure), &failure, "assign");
    while ((rc = evlog_consumer_next(consumer, -1, &event, &failure)) == 1) {
        count++;
    }
    check(rc, &failure, "read");
    evlog_consumer_close(consumer);
    if (count != b->event_count) {
        bench_die("%llu events read, not %llu", (unsigned long long)count, (unsigned long long)b->event_count);
    }
}

static void row_of_events(const struct tls_bench *b, const char *name, const struct bench_cpu *from,
                          const struct bench_cpu *to, double *plain)
{
    double bytes = (double)b->event_count * VALUE_LEN;
    double mb = bytes / 1e6 / ((double)(to->at_ns - from->at_ns) / 1e9);
    *plain = *plain == 0 ? mb : *plain;
    printf("%-28s %9.1f %8.0f%% %14.2f %6.0f%%\n", name, mb, mb / *plain * 100,
           (double)(to->broker_ns - from->broker_ns) / bytes, bench_cpu_others(from, to) * 100);
}

static void measure_events(struct tls_bench *b)
{
    double published = 0, read = 0;
    printf("%-28s %9s %9s %14s %7s\n", "events of 1 KB", "MB/s", "of plain", "broker s/GB", "others");
    for (int secure = 0; secure < 2; secure++) {
        struct evlog_client *client = open_client(b, secure);
        const char *topic = secure ? "sealed" : "plain";
        struct bench_cpu from, to;
        int fd = bench_connect(b->broker.port, true);
        bench_topic_create(fd, topic, 1, true);
        close(fd);
        bench_wait_quiet(b->options.quiet_seconds);
        bench_cpu_read(&from, b->broker.pid);
        publish_all(b, client, topic);
        bench_cpu_read(&to, b->broker.pid);
        row_of_events(b, secure ? "published by TLS" : "published plain", &from, &to, &published);
        bench_cpu_read(&from, b->broker.pid);
        read_all(b, client, topic);
        bench_cpu_read(&to, b->broker.pid);
        row_of_events(b, secure ? "read by TLS" : "read plain", &from, &to, &read);
        evlog_client_close(client);
    }
}

/* --- records in memory -------------------------------------------------------------------------------------------- */

#define RECORDS_LEN (64u << 10) /* of data in a call: four records */

struct tls_pair {
    struct el_tls *client, *server;
    uint8_t to_server[WIRE_ROOM * 2], to_client[WIRE_ROOM * 2];
    size_t to_server_len, to_client_len;
};

static bool pair_step(struct el_tls *tls, const uint8_t *in, size_t *in_len, uint8_t *out, size_t *out_len)
{
    struct el_error err = {0};
    struct el_tls_bytes bytes = {.in = in, .in_len = *in_len, .out = out, .out_room = WIRE_ROOM};
    int rc = el_tls_handshake(tls, &bytes, &err);
    if (rc < 0 || rc == EL_TLS_WANT_OUT) {
        bench_die("handshake in memory: %s", err.text);
    }
    *in_len = 0;
    *out_len = bytes.out_len;
    return rc == EL_TLS_DONE;
}

static void pair_open(struct tls_pair *pair, struct tls_bench *b, struct el_tls_config *server)
{
    bool client_done = false, server_done = false;
    pair->client = el_tls_new(b->tls, "127.0.0.1");
    pair->server = el_tls_new(server, NULL);
    if (pair->client == NULL || pair->server == NULL) {
        bench_die("out of memory");
    }
    while (!client_done || !server_done) {
        client_done = client_done || pair_step(pair->client, pair->to_client, &pair->to_client_len, pair->to_server,
                                               &pair->to_server_len);
        server_done = server_done || pair_step(pair->server, pair->to_server, &pair->to_server_len, pair->to_client,
                                               &pair->to_client_len);
    }
}

static void print_memory(const char *name, uint64_t bytes, uint64_t took_ns)
{
    printf("%-28s %9.1f %9s %14.2f\n", name, (double)bytes * 1e3 / (double)took_ns, "",
           (double)took_ns / (double)bytes);
}

static void measure_library(struct tls_bench *b)
{
    static struct tls_pair pair;
    static uint8_t data[RECORDS_LEN], back[RECORDS_LEN];
    struct el_error err;
    struct el_tls_config *server;
    struct el_tls_options options = {.server = true, .certificate_file = b->ca, .key_file = b->key};
    uint64_t bytes_done = 0, sealed_ns = 0, opened_ns = 0;
    if (el_tls_config_open(&options, &server, &err) != 0) {
        bench_die("%s", err.text);
    }
    pair_open(&pair, b, server);
    bench_wait_quiet(b->options.quiet_seconds);
    while (sealed_ns + opened_ns < (uint64_t)(b->options.seconds * 1e9)) {
        struct el_tls_bytes wire = {.out = pair.to_server, .out_room = sizeof pair.to_server};
        uint64_t start_ns = bench_now_ns();
        if (el_tls_write(pair.client, &wire, data, sizeof data) != (int64_t)sizeof data) {
            bench_die("records in memory are not written whole");
        }
        uint64_t written_ns = bench_now_ns();
        wire.in = pair.to_server;
        wire.in_len = wire.out_len;
        for (size_t len = 0; len < sizeof back;) {
            int64_t n = el_tls_read(pair.server, &wire, back + len, sizeof back - len);
            if (n <= 0) {
                bench_die("records in memory are not read whole");
            }
            len += (size_t)n;
        }
        sealed_ns += written_ns - start_ns;
        opened_ns += bench_now_ns() - written_ns;
        bytes_done += sizeof data;
    }
    printf("%-28s %9s %9s %14s  %s\n", "records in memory", "MB/s", "", "s/GB", el_tls_cipher(pair.client));
    print_memory("encrypted by one thread", bytes_done, sealed_ns);
    print_memory("decrypted by one thread", bytes_done, opened_ns);
    el_tls_free(pair.client);
    el_tls_free(pair.server);
    el_tls_config_unref(server);
}

/* --- connections -------------------------------------------------------------------------------------------------- */

static void shake(struct tls_bench *b, int fd)
{
    static uint8_t in[WIRE_ROOM], out[WIRE_ROOM];
    struct el_error err = {0};
    struct el_tls *tls = el_tls_new(b->tls, "127.0.0.1");
    size_t len = 0;
    int rc = EL_TLS_WANT_IN;
    while (rc == EL_TLS_WANT_IN) {
        struct el_tls_bytes bytes = {.in = in, .in_len = len, .out = out, .out_room = sizeof out};
        rc = el_tls_handshake(tls, &bytes, &err);
        if (rc < 0 || write(fd, out, bytes.out_len) != (ssize_t)bytes.out_len) {
            bench_die("handshake: %s", err.text);
        }
        ssize_t n = rc == EL_TLS_WANT_IN ? read(fd, in, sizeof in) : 0;
        if (n < 0 || (n == 0 && rc == EL_TLS_WANT_IN)) {
            bench_die("the broker closed a handshake");
        }
        len = (size_t)n;
    }
    el_tls_free(tls);
}

static void measure_connections(struct tls_bench *b, bool secure, const char *name)
{
    struct bench_cpu from, to;
    uint64_t count = 0;
    bench_wait_quiet(b->options.quiet_seconds);
    bench_cpu_read(&from, b->broker.pid);
    uint64_t until_ns = from.at_ns + (uint64_t)(b->options.seconds * 1e9);
    do {
        int fd = bench_connect(secure ? b->tls_port : b->broker.port, true);
        if (secure) {
            shake(b, fd);
        } else {
            struct el_arena arena;
            struct el_msg_api_versions_request ask;
            struct el_msg_api_versions_response answer;
            el_arena_init(&arena, NULL, 0);
            el_schema_init(&el_schema_api_versions_request, &ask);
            bench_call(fd, EL_API_ApiVersions, 0, &ask, &arena, &answer);
            el_arena_reset(&arena);
        }
        close(fd);
        count++;
    } while (bench_now_ns() < until_ns);
    bench_cpu_read(&to, b->broker.pid);
    double seconds = (double)(to.at_ns - from.at_ns) / 1e9;
    printf("%-28s %9.0f %9s %14.2f %6.0f%%\n", name, (double)count / seconds, "",
           (double)(to.broker_ns - from.broker_ns) / 1e6 / (double)count, bench_cpu_others(&from, &to) * 100);
}

int main(int argc, char **argv)
{
    static struct tls_bench b;
    bench_options_parse(&b.options, argc, argv, "TLS beside plain connections.");
    bench_pin_self(&b.options);
    b.event_count = (uint64_t)(b.options.seconds * EVENTS_A_SECOND);
    start(&b, "ec -pkeyopt ec_paramgen_curve:P-256");
    printf("%s\n", b.broker.ready);
    measure_events(&b);
    measure_library(&b);
    printf("%-28s %9s %9s %14s %7s\n", "one after the other", "1/s", "", "broker ms each", "others");
    measure_connections(&b, false, "connections, plain");
    measure_connections(&b, true, "handshakes, ECDSA P-256");
    end(&b);
    start(&b, "rsa:2048");
    measure_connections(&b, true, "handshakes, RSA 2048");
    end(&b);
    return 0;
}
