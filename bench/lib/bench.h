/* SPDX-License-Identifier: Apache-2.0
 *
 * What the benchmarks share: options, a broker of their own in a fresh data directory, requests, a load generator,
 * the limits of the machine, and lines of a table. One thread unless a function says otherwise; every failure prints
 * a line and exits with status 1, for a benchmark has nothing to recover.
 */
#ifndef EL_BENCH_BENCH_H
#define EL_BENCH_BENCH_H

#include <core/arena.h>
#include <core/bytes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <wire/api.h>

#define BENCH_PARTITION_MAX 64
#define BENCH_CONN_MAX 4096
#define BENCH_DEPTH_MAX 256 /* requests under way on one connection */

struct bench_options {
    const char *evlogd;   /* program */
    const char *data;     /* folder in which data directories are made */
    const char *commit;   /* evlogd's --io-commit */
    const char *io;       /* evlogd's --io */
    const char *only;     /* rows whose name contains it, NULL all */
    double seconds;       /* of one row, warm-up not included */
    uint32_t repeats;     /* most measurements of a row; the quietest is printed */
    uint32_t shards;      /* of evlogd, 0 its default */
    uint32_t partitions;  /* of the topic; connections are spread over them */
    double quiet_seconds; /* wait so long at most for an idle machine before each measurement */
    bool pin;             /* evlogd on the first processor, the load on the last */
    bool keep;            /* leave the data directory */
    const char *extra[4]; /* further arguments of evlogd; NULL ends them */
};

/* Options of the command line; prints usage and exits on others. name: of the program. */
void bench_options_parse(struct bench_options *options, int argc, char **argv, const char *purpose);
bool bench_row_wanted(const struct bench_options *options, const char *name);
void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void *bench_alloc(size_t len); /* zeroed */

/* --- time and samples --------------------------------------------------------------------------------------------- */

uint64_t bench_now_ns(void);

/* Log-linear: 64 buckets in each power of two, so that a quantile is known to 1.6 %. */
struct bench_histogram {
    uint64_t count;
    uint32_t buckets[64 * 64];
};
void bench_histogram_add(struct bench_histogram *h, uint64_t ns);
double bench_histogram_us(const struct bench_histogram *h, double share);

/* --- processor time ----------------------------------------------------------------------------------------------- */

struct bench_cpu {
    uint64_t at_ns;
    uint64_t broker_ns; /* all threads of evlogd; kernel threads that work for it are not in it */
    uint64_t self_ns;
    uint64_t busy_ns; /* all processors, everybody; what the hypervisor gave to others as well */
};
void bench_cpu_read(struct bench_cpu *cpu, pid_t broker);
/* Share of the machine's processors that neither evlogd nor the load has used, 0 .. 1: kernel threads and others. */
double bench_cpu_others(const struct bench_cpu *from, const struct bench_cpu *to);
/* Wait until nobody else uses the processors, quiet_seconds at most: a compiler beside a benchmark turns 90 us into
 * 4 ms. */
void bench_wait_quiet(double quiet_seconds);
void bench_pin_self(const struct bench_options *options);
/* For a child before exec or work: the broker's processor. */
void bench_pin_broker(const struct bench_options *options);

uint64_t bench_resident_bytes(pid_t pid);
uint32_t bench_open_files(pid_t pid);
/* Processes that do nothing but keep a processor busy each. */
void bench_hogs_start(pid_t *hogs, uint32_t count);
void bench_hogs_stop(const pid_t *hogs, uint32_t count);

/* --- broker ------------------------------------------------------------------------------------------------------- */

struct bench_broker {
    const struct bench_options *options;
    pid_t pid;
    uint16_t port;
    char data[512];
    char ready[256]; /* its first line */
};
/* Start evlogd on a fresh data directory, or again on the one it had. */
void bench_broker_start(struct bench_broker *broker, const struct bench_options *options);
void bench_broker_restart(struct bench_broker *broker);
void bench_broker_stop(struct bench_broker *broker);
/* Stop, drop the data directory from the kernel's page cache, and start again. */
void bench_broker_restart_cold(struct bench_broker *broker);
/* kill -9; bench_broker_restart() may follow. */
void bench_broker_kill(struct bench_broker *broker);
/* Stop and remove the data directory, unless it is to be kept. */
void bench_broker_end(struct bench_broker *broker);

/* --- a bucket ----------------------------------------------------------------------------------------------------- */

/* An S3 server of the benchmark's own, in another process: objects stay in its memory and are never synced, nothing is
 * checked or signed. So what is measured through it is the client's cost and the loopback's. */
struct bench_bucket {
    pid_t pid;
    uint16_t port;
    char url[64]; /* s3://bench/archive, which its environment makes this server's */
};
void bench_bucket_start(struct bench_bucket *bucket);
void bench_bucket_stop(struct bench_bucket *bucket);
/* What costs least there: a GET or a PUT over a connection that is kept, with no library between. bench_http_get()
 * returns the bytes that came into buf[len]. path: "/bench/..." */
int bench_http_connect(const struct bench_bucket *bucket);
size_t bench_http_get(int fd, const char *path, uint64_t pos, void *buf, size_t len);
void bench_http_put(int fd, const char *path, const void *data, size_t len);

/* --- requests ----------------------------------------------------------------------------------------------------- */

int bench_connect(uint16_t port, bool blocking);
/* Listen on a free port of the loopback address. */
int bench_listen(uint16_t *port);
/* Send a request and wait for its answer, on a blocking socket. out: decoded response in arena memory */
void bench_call(int fd, int key, int version, const void *request, struct el_arena *arena, void *out);
struct bench_topic_ask {
    const char *name;
    uint32_t partitions;
    bool memory;  /* with evlog.durability=memory */
    bool streams; /* with evlog.streams=true */
};
/* Make a topic. returns the error code of the answer */
int bench_topic_try(int fd, const struct bench_topic_ask *ask);
void bench_topic_create(int fd, const char *name, uint32_t partitions, bool memory);

/* A Produce request that is sent again and again: the first 12 bytes (length, key, version, correlation id) are each
 * connection's own. */
struct bench_produce {
    struct el_slice frame;
    size_t error_pos; /* of the error code in the response frame, prefix included */
    uint32_t record_count;
    size_t batch_len;
};
/* One batch of the caller's to one partition, durable. returns the error code of the answer */
int bench_produce_batch(int fd, const char *topic, int32_t partition, struct el_slice batch);
/* records of value_len random bytes each, without keys, uncompressed */
void bench_produce_make(struct bench_produce *produce, const char *topic, int32_t partition, uint32_t records,
                        size_t value_len, int16_t acks);

/* --- load --------------------------------------------------------------------------------------------------------- */

struct bench_load {
    uint16_t port;
    const struct bench_produce *produces; /* [produce_count], connection i sends number i % produce_count */
    uint32_t produce_count;
    bool in_turn; /* each request of a connection sends the next one, so that all are sent equally often */
    uint32_t conns;
    uint32_t depth; /* requests under way on each connection */
    double rate;    /* requests a second at fixed times, over all connections; 0: as fast as answers come */
    double warm_seconds;
    double seconds;
    uint64_t request_count; /* stop after so many, 0: by time */
    volatile bool *stop;    /* or when this is set; NULL never */
    pid_t broker;
    double quiet_seconds; /* see bench_wait_quiet(); 0: begin at once */
};

struct bench_load_result {
    uint64_t requests;
    double seconds;
    double requests_per_second;
    double p50_us, p99_us, p999_us;
    double broker_us; /* processor time of evlogd a request */
    double others;    /* bench_cpu_others() */
};
void bench_load_run(const struct bench_load *load, struct bench_load_result *result);
/* Up to repeats times, until nobody else was in the way; result: the quietest run, whatever its figures. */
void bench_load_run_quiet(const struct bench_load *load, uint32_t repeats, struct bench_load_result *result);

/* --- consuming ---------------------------------------------------------------------------------------------------- */

struct bench_consume {
    uint16_t port;
    const char *topic;
    uint32_t partitions;
    uint32_t readers; /* reader i has partition i % partitions */
    int64_t end;      /* each stops at this offset; 0: when time is over */
    int32_t wait_ms;  /* of a fetch */
    double seconds;   /* at most */
    double quiet_seconds;
    pid_t broker;
};
struct bench_consume_result {
    double seconds;
    uint64_t bytes, events, fetches;
    double broker_seconds; /* processor time of evlogd */
    double others;         /* bench_cpu_others() */
};
/* From the start of the topic. */
void bench_consume_run(const struct bench_consume *consume, struct bench_consume_result *result);

/* --- limits ------------------------------------------------------------------------------------------------------- */

struct bench_limit {
    double per_second;
    double p50_us, p99_us;
    double mb_per_second;
};
/* Durable writes of len bytes with O_DIRECT and RWF_DSYNC into zero-filled blocks of a file in folder, one at a time
 * by blocking calls (depth 1) or depth at a time by io_uring. */
void bench_limit_flush(const char *folder, size_t len, uint32_t depth, double seconds, struct bench_limit *limit);
/* The same on blocks that were only allocated. */
void bench_limit_flush_unwritten(const char *folder, size_t len, double seconds, struct bench_limit *limit);
/* Reads of len bytes in order, depth at a time, O_DIRECT. */
void bench_limit_read(const char *folder, size_t len, uint32_t depth, double seconds, struct bench_limit *limit);
/* Round trips of 300 bytes there and 64 bytes back over loopback TCP, one at a time. */
void bench_limit_rtt(const struct bench_options *options, double seconds, struct bench_limit *limit);

/* How the bytes of a stream reach the socket. */
enum bench_stream {
    BENCH_STREAM_MEMORY, /* sent from where they are */
    BENCH_STREAM_COPIED, /* copied once before */
    BENCH_STREAM_FILE,   /* sendfile() from the page cache */
};
struct bench_stream_limit {
    double mb_per_second;
    double cpu_per_gb; /* seconds of the sender for 10^9 bytes */
};
/* A stream in pieces of 1 MiB over one connection of loopback TCP. */
void bench_limit_stream(const struct bench_options *options, enum bench_stream how, double seconds,
                        struct bench_stream_limit *limit);

#endif
