/* SPDX-License-Identifier: Apache-2.0
 *
 * Work on events by libevlog (evlog/lease.h), as a service would: workers with a client each, an outcome for each
 * event. Prints one line of JSON. bench/leases/peer_load does the same with other brokers.
 *
 * 1. fill: publish `count` events; number i has key i % keys, and i in the first bytes of its value
 * 2. work: lease and acknowledge all, up to `inflight` at a time in each worker; with `fail` the events of one key in
 *    so many fail, always, and the rate is that of the others
 * 3. retry: publish at fixed times; each event fails once; how long after it was due its second delivery came
 * 4. hold: lease all and keep them until the end of standard input
 * 5. wait: lease all and let each fail with a delay
 *
 * An outcome counts when the broker has confirmed it, that is when it is on the disk.
 */
#include "../lib/bench.h"

#include <evlog/evlog.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WORKER_MAX 256
#define VALUE_LEN_MAX 65536u
#define FETCH_MS 100
#define PATIENCE_NS 120000000000ull

struct lease_load {
    const char *verb;
    const char *topic, *group;
    char address[64];
    uint64_t count, keys, fail;
    uint64_t first; /* number of the first event: others may be there already */
    uint32_t workers, inflight, partitions;
    uint32_t value_len, batch_len;
    const char *compression;
    int64_t delay_ms;
    double rate;
    _Atomic uint64_t done;     /* outcomes that are wanted */
    _Atomic uint64_t failed;   /* failures beside them */
    _Atomic uint64_t first_ns; /* when the first lease came */
    _Atomic uint64_t last_ns;  /* when the last outcome was confirmed */
    _Atomic uint64_t *due_ns;  /* retry: of each event's second delivery */
};

struct worker {
    struct lease_load *load;
    pthread_t thread;
    struct evlog_client *client;
    struct evlog_group *group;
    const struct evlog_lease **leases;
    struct evlog_settlement *settlements;
    bool joined; /* the round in which it joined is not counted */
    struct bench_histogram histogram;
};

static struct evlog_failure failure = EVLOG_FAILURE_INIT; /* ends the program */

static void must(int rc)
{
    if (rc < 0) {
        bench_die("%s (%s)", failure.text, failure.hint);
    }
}

static struct evlog_client *client_new(const struct lease_load *load)
{
    struct evlog_settings *settings = NULL;
    struct evlog_client *client = NULL;
    char batch_len[32];
    snprintf(batch_len, sizeof batch_len, "%u", load->batch_len);
    must(evlog_settings_new(&settings));
    must(evlog_settings_set(settings, "bootstrap.servers", load->address, &failure));
    must(evlog_settings_set(settings, "compression.type", load->compression, &failure));
    must(evlog_settings_set(settings, "batch.size", batch_len, &failure));
    must(evlog_settings_set(settings, "linger.ms", load->rate > 0 ? "0" : "5", &failure));
    must(evlog_client_open(settings, &client, &failure));
    evlog_settings_free(settings);
    return client;
}

/* --- events ------------------------------------------------------------------------------------------------------- */

static uint64_t number_of(const struct evlog_event *event)
{
    uint64_t number;
    if (event->value.len < sizeof number) {
        bench_die("an event of another kind");
    }
    memcpy(&number, event->value.data, sizeof number);
    return number;
}

static bool fails_always(const struct lease_load *load, uint64_t number)
{
    return load->fail > 0 && number % load->keys % load->fail == 0;
}

/* Events that do not fail. */
static uint64_t healthy_count(const struct lease_load *load)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < load->count; i++) {
        count += !fails_always(load, i);
    }
    return count;
}

static void publish(struct lease_load *load, struct evlog_producer *producer, uint64_t i)
{
    static uint8_t value[VALUE_LEN_MAX];
    static uint64_t random = 88172645463325252u;
    char key[32];
    struct evlog_message message = EVLOG_MESSAGE_INIT;
    for (size_t n = sizeof i; n < load->value_len; n++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        value[n] = (uint8_t)random;
    }
    memcpy(value, &i, sizeof i);
    int len = snprintf(key, sizeof key, "key-%08llu", (unsigned long long)(i % load->keys));
    message.topic = load->topic;
    message.key = (struct evlog_bytes){(const uint8_t *)key, (size_t)len};
    message.value = (struct evlog_bytes){value, load->value_len};
    must(evlog_publish_async(producer, &message, NULL, NULL, &failure));
}

static void topic_create(const struct lease_load *load, struct evlog_client *client)
{
    struct evlog_topic_create_options options = EVLOG_TOPIC_CREATE_OPTIONS_INIT;
    options.name = load->topic;
    options.partition_count = (int32_t)load->partitions;
    int rc = evlog_topic_create(client, &options, &failure);
    if (rc != EVLOG_ERR_TOPIC_EXISTS) {
        must(rc);
    }
}

static void run_fill(struct lease_load *load)
{
    struct evlog_producer *producer;
    struct evlog_client *client = client_new(load);
    topic_create(load, client);
    must(evlog_producer_open(client, &producer, &failure));
    uint64_t from_ns = bench_now_ns();
    for (uint64_t i = 0; i < load->count; i++) {
        publish(load, producer, load->first + i);
    }
    must(evlog_flush(producer, -1, &failure));
    load->done = load->count;
    load->first_ns = from_ns;
    load->last_ns = bench_now_ns();
    evlog_producer_close(producer);
    evlog_client_close(client);
}

/* --- workers ------------------------------------------------------------------------------------------------------ */

/* Before the first worker comes. */
static void group_settings(const struct lease_load *load)
{
    char inflight[32], answer[32], delay[32];
    uint64_t most = EL_MAX(1000u, (uint64_t)load->workers * load->inflight);
    snprintf(inflight, sizeof inflight, "%llu", (unsigned long long)EL_MIN(most, 1000000u));
    snprintf(answer, sizeof answer, "%u", EL_MIN(EL_MAX(load->inflight, 100u), 100000u));
    snprintf(delay, sizeof delay, "%lld", (long long)load->delay_ms);
    const struct evlog_setting settings[] = {
        {"start", "earliest"},
        {"lease.ms", "600000"},
        {"max.inflight", inflight},
        {"batch.size", answer},
        {"retry.max.attempts", "-1"},
        {"retry.backoff.ms", delay},
        {"retry.backoff.multiplier", "1"},
        {"retry.backoff.max.ms", delay},
        {"retry.backoff.jitter", "none"},
    };
    struct evlog_client *client = client_new(load);
    must(evlog_group_set(client, load->group, settings, sizeof settings / sizeof settings[0], false, &failure));
    evlog_client_close(client);
}

static struct worker *workers_new(struct lease_load *load)
{
    struct worker *workers = bench_alloc(load->workers * sizeof *workers);
    group_settings(load);
    for (uint32_t i = 0; i < load->workers; i++) {
        struct worker *w = &workers[i];
        struct evlog_group_options options = EVLOG_GROUP_OPTIONS_INIT;
        options.group = load->group;
        options.topics = &load->topic;
        options.topic_count = 1;
        w->load = load;
        w->client = client_new(load);
        w->leases = bench_alloc(load->inflight * sizeof *w->leases);
        w->settlements = bench_alloc(load->inflight * sizeof *w->settlements);
        must(evlog_group_open(w->client, &options, &w->group, &failure));
    }
    return workers;
}

static void workers_run(struct worker *workers, void *(*run)(void *))
{
    uint32_t count = workers->load->workers;
    for (uint32_t i = 0; i < count; i++) {
        if (pthread_create(&workers[i].thread, NULL, run, &workers[i]) != 0) {
            bench_die("no thread");
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        for (size_t b = 0; i > 0 && b < sizeof workers->histogram.buckets / sizeof(uint32_t); b++) {
            workers[0].histogram.buckets[b] += workers[i].histogram.buckets[b];
        }
        workers[0].histogram.count += i > 0 ? workers[i].histogram.count : 0;
    }
}

static void workers_close(struct worker *workers)
{
    for (uint32_t i = 0; i < workers->load->workers; i++) {
        must(evlog_group_close(workers[i].group, -1, &failure));
        evlog_client_close(workers[i].client);
    }
}

static size_t fetch(struct worker *w, size_t count_max)
{
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    int n = evlog_group_fetch(w->group, count_max, FETCH_MS, w->leases, &why);
    if (n < 0) {
        bench_die("fetch: %s", why.text);
    }
    uint64_t none = 0;
    if (n > 0) {
        atomic_compare_exchange_strong(&w->load->first_ns, &none, bench_now_ns());
    }
    return (size_t)n;
}

static void settle(struct worker *w, size_t count, bool wait)
{
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    if (evlog_group_settle(w->group, w->settlements, count, wait, &why) != 0) {
        bench_die("outcome: %s", why.text);
    }
}

/* Count outcomes; the one that is the last sets the time. returns false when all is done */
static bool count_done(struct lease_load *load, uint64_t count, uint64_t wanted)
{
    uint64_t done = atomic_fetch_add(&load->done, count) + count;
    if (count > 0 && done >= wanted) {
        load->last_ns = bench_now_ns();
    }
    return done < wanted;
}

static void *work_thread(void *arg)
{
    struct worker *w = arg;
    struct lease_load *load = w->load;
    uint64_t wanted = healthy_count(load), until_ns = bench_now_ns() + PATIENCE_NS;
    for (bool more = true; more && load->done < wanted;) {
        uint64_t from_ns = bench_now_ns(), good = 0;
        size_t count = fetch(w, load->inflight);
        for (size_t i = 0; i < count; i++) {
            bool fails = fails_always(load, number_of(w->leases[i]->event));
            w->settlements[i] = (struct evlog_settlement){
                .lease = w->leases[i], .outcome = fails ? EVLOG_NACK : EVLOG_ACK, .delay_ms = -1, .reason = "bench"};
            good += !fails;
        }
        if (count > 0) {
            settle(w, count, true);
            if (w->joined) {
                bench_histogram_add(&w->histogram, bench_now_ns() - from_ns);
            }
            w->joined = true;
            load->failed += count - good;
        }
        more = count_done(load, good, wanted);
        if (bench_now_ns() > until_ns) {
            bench_die("%llu of %llu events were done in time", (unsigned long long)load->done,
                      (unsigned long long)wanted);
        }
    }
    return NULL;
}

static void *wait_thread(void *arg)
{
    struct worker *w = arg;
    struct lease_load *load = w->load;
    for (bool more = true; more && load->done < load->count;) {
        size_t count = fetch(w, load->inflight);
        for (size_t i = 0; i < count; i++) {
            w->settlements[i] = (struct evlog_settlement){
                .lease = w->leases[i], .outcome = EVLOG_NACK, .delay_ms = load->delay_ms, .reason = "bench"};
        }
        settle(w, count, true);
        more = count_done(load, count, load->count);
    }
    return NULL;
}

static void *hold_thread(void *arg)
{
    struct worker *w = arg;
    struct lease_load *load = w->load;
    for (uint64_t held = 0; held < load->inflight && load->done < load->count;) {
        size_t count = fetch(w, load->inflight - held);
        held += count;
        count_done(load, count, load->count);
    }
    return NULL;
}

static void *retry_thread(void *arg)
{
    struct worker *w = arg;
    struct lease_load *load = w->load;
    for (bool more = true; more && load->done < load->count;) {
        size_t count = fetch(w, load->inflight), again = 0;
        for (size_t i = 0; i < count; i++) {
            uint64_t now_ns = bench_now_ns(), number = number_of(w->leases[i]->event);
            bool first = w->leases[i]->attempt == 1;
            if (first) {
                load->due_ns[number] = now_ns + (uint64_t)load->delay_ms * 1000000u;
            } else {
                bench_histogram_add(&w->histogram, now_ns < load->due_ns[number] ? 0 : now_ns - load->due_ns[number]);
                again++;
            }
            w->settlements[i] = (struct evlog_settlement){
                .lease = w->leases[i], .outcome = first ? EVLOG_NACK : EVLOG_ACK, .delay_ms = -1};
        }
        settle(w, count, false);
        more = count_done(load, again, load->count);
    }
    return NULL;
}

/* --- verbs -------------------------------------------------------------------------------------------------------- */

static void print(struct lease_load *load, const struct bench_histogram *histogram)
{
    printf("{\"records\": %llu, \"seconds\": %.6f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "
           "\"failed\": %llu}\n",
           (unsigned long long)load->done, (double)(load->last_ns - load->first_ns) / 1e9,
           bench_histogram_us(histogram, 0.5), bench_histogram_us(histogram, 0.99),
           bench_histogram_us(histogram, 0.999), (unsigned long long)load->failed);
    fflush(stdout);
}

static void run_workers(struct lease_load *load, void *(*run)(void *))
{
    struct worker *workers = workers_new(load);
    workers_run(workers, run);
    print(load, &workers->histogram);
    if (strcmp(load->verb, "hold") == 0) {
        char text[64];
        while (read(STDIN_FILENO, text, sizeof text) > 0) {
        }
        exit(0); /* the end of the connections gives the leases back */
    }
    workers_close(workers);
}

static void *publish_at_times(void *arg)
{
    struct lease_load *load = arg;
    struct evlog_producer *producer;
    struct evlog_client *client = client_new(load);
    must(evlog_producer_open(client, &producer, &failure));
    uint64_t step_ns = (uint64_t)(1e9 / load->rate), due_ns = bench_now_ns() + step_ns;
    for (uint64_t i = 0; i < load->count; i++, due_ns += step_ns) {
        struct timespec t = {(time_t)(due_ns / 1000000000u), (long)(due_ns % 1000000000u)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
        publish(load, producer, i);
    }
    must(evlog_flush(producer, -1, &failure));
    evlog_producer_close(producer);
    evlog_client_close(client);
    return NULL;
}

static void run_retry(struct lease_load *load)
{
    pthread_t publisher;
    struct evlog_client *client = client_new(load);
    topic_create(load, client);
    evlog_client_close(client);
    load->due_ns = bench_alloc(load->count * sizeof *load->due_ns);
    struct worker *workers = workers_new(load);
    if (!(load->rate > 0) || pthread_create(&publisher, NULL, publish_at_times, load) != 0) {
        bench_die("no thread, or no --rate");
    }
    workers_run(workers, retry_thread);
    pthread_join(publisher, NULL);
    print(load, &workers->histogram);
    workers_close(workers);
}

static void run(struct lease_load *load)
{
    static const struct bench_histogram none;
    if (strcmp(load->verb, "fill") == 0) {
        run_fill(load);
        print(load, &none);
    } else if (strcmp(load->verb, "work") == 0) {
        run_workers(load, work_thread);
    } else if (strcmp(load->verb, "wait") == 0) {
        run_workers(load, wait_thread);
    } else if (strcmp(load->verb, "hold") == 0) {
        run_workers(load, hold_thread);
    } else if (strcmp(load->verb, "retry") == 0) {
        run_retry(load);
    } else {
        bench_die("fill, work, retry, hold or wait?");
    }
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"port", 1, NULL, 'p'},  {"topic", 1, NULL, 't'}, {"group", 1, NULL, 'g'},      {"count", 1, NULL, 'c'},
        {"keys", 1, NULL, 'k'},  {"fail", 1, NULL, 'f'},  {"workers", 1, NULL, 'w'},    {"inflight", 1, NULL, 'i'},
        {"delay", 1, NULL, 'd'}, {"rate", 1, NULL, 'r'},  {"value", 1, NULL, 'v'},      {"batch", 1, NULL, 'b'},
        {"first", 1, NULL, 'F'}, {"codec", 1, NULL, 'z'}, {"partitions", 1, NULL, 'P'}, {NULL, 0, NULL, 0},
    };
    static struct lease_load load = {.topic = "bench",
                                     .group = "bench",
                                     .count = 10000,
                                     .keys = 10000,
                                     .workers = 1,
                                     .inflight = 1,
                                     .partitions = 1,
                                     .value_len = 100,
                                     .batch_len = 16384,
                                     .compression = "none",
                                     .delay_ms = 1000};
    uint32_t port = 0;
    for (int c = getopt_long(argc, argv, "", longs, NULL); c != -1; c = getopt_long(argc, argv, "", longs, NULL)) {
        uint64_t number = c == '?' ? 0 : strtoull(optarg, NULL, 10);
        switch (c) {
        case 'p':
            port = (uint32_t)number;
            break;
        case 't':
            load.topic = optarg;
            break;
        case 'g':
            load.group = optarg;
            break;
        case 'c':
            load.count = number;
            break;
        case 'k':
            load.keys = number;
            break;
        case 'f':
            load.fail = number;
            break;
        case 'w':
            load.workers = (uint32_t)number;
            break;
        case 'i':
            load.inflight = (uint32_t)number;
            break;
        case 'd':
            load.delay_ms = (int64_t)number;
            break;
        case 'r':
            load.rate = strtod(optarg, NULL);
            break;
        case 'v':
            load.value_len = (uint32_t)number;
            break;
        case 'F':
            load.first = number;
            break;
        case 'b':
            load.batch_len = (uint32_t)number;
            break;
        case 'z':
            load.compression = optarg;
            break;
        case 'P':
            load.partitions = (uint32_t)number;
            break;
        default:
            bench_die("usage: lease_load fill|work|retry|hold|wait --port=N [--topic --group --count --keys --fail "
                      "--workers --inflight --delay --rate --value --batch --codec --partitions]");
        }
    }
    load.verb = optind < argc ? argv[optind] : "";
    if (port == 0 || port > 65535 || load.count == 0 || load.keys == 0 || load.workers == 0 ||
        load.workers > WORKER_MAX || load.inflight == 0 || load.value_len < 8 || load.value_len > VALUE_LEN_MAX) {
        bench_die("a value is missing or out of range");
    }
    snprintf(load.address, sizeof load.address, "127.0.0.1:%u", port);
    run(&load);
    return 0;
}
