/* SPDX-License-Identifier: Apache-2.0
 *
 * The handlers without disk and network: a storage engine of a few arrays and a net that keeps the last answer. Both
 * stand in for the symbols of store.h and request.h, so that a test sees every call and decides when an operation ends.
 */
#ifndef EL_TEST_API_FAKE_H
#define EL_TEST_API_FAKE_H

#include <api/api.h>
#include <core/alloc.h>
#include <core/hash.h>
#include <format/batch.h>
#include <test.h>

#define FAKE_TOPIC_MAX 8
#define FAKE_OP_MAX 64
#define FAKE_CONN_MAX 8

/* How a request ended. */
enum fake_outcome { FAKE_OPEN, FAKE_REPLIED, FAKE_SILENT, FAKE_REFUSED };

struct fake_partition {
    uint8_t *data; /* what reads return from offset 0 on; owned by the test */
    uint32_t data_len;
    int64_t high_watermark; /* of whole partition */
    int64_t log_start;
    uint64_t append_time_ns; /* of the batch at offset 0; each offset later one ns more */
};

struct fake_request {
    struct request request;
    uint64_t conn_id;
    enum fake_outcome outcome;
    bool held;
    bool last; /* the connection is to be closed behind it */
    bool unheld;
    uint8_t *frame; /* request body, heap */
    uint8_t *reply; /* answer body, heap */
    size_t reply_len;
    char reason[256];
    struct el_arena reply_arena;
    request_fn release; /* waits for the end of the hold */
};

struct fake {
    struct api api;
    struct auth auth; /* of the api; off unless a test turns it on */
    struct sasl sasl;
    bool sasl_under_way, trusted;
    struct net_proof proof; /* trusted: that one */
    bool access_unknown;    /* users and rules are not read yet */
    bool access_failed;     /* and cannot be */
    int access_error;       /* what changes of them end with */
    struct api_node node;
    struct groups groups;
    struct groups *peers[1];
    void *conn_users[FAKE_CONN_MAX];   /* by conn_id */
    char principal[NET_PRINCIPAL_MAX]; /* of every request */
    struct config cfg;
    struct io io;
    struct io_timer *timer_room[FAKE_OP_MAX];
    struct el_buddy buddy;
    struct metrics *metrics;
    struct topic topics[FAKE_TOPIC_MAX];
    uint32_t topic_count;
    struct fake_partition partition; /* partition 0 of every topic reads from it */
    uint64_t wall_ns;
    bool defer; /* operations wait in ops until fake_run_op() */
    struct store_op *ops[FAKE_OP_MAX];
    uint32_t op_count;
    struct append_op *appends[FAKE_OP_MAX]; /* in order of submission */
    uint32_t append_count;
    int append_error;                        /* what appends end with */
    void (*on_append)(struct append_op *op); /* NULL, or answers in place of the store */
    struct watch_op *watches[FAKE_OP_MAX];   /* under way */
    uint32_t watch_count;
    bool defer_cancel; /* cancelled watches end by fake_fire() only */
    uint32_t cancel_count;
    uint32_t read_len_max; /* reads of more find no memory; 0: no limit */
    int32_t starved;       /* reads of this partition find no memory, if it is not 0 */
    bool remote;           /* what is read is in the archive alone */
    uint32_t read_count;
    uint32_t read_release_count;
    uint32_t reads_held;             /* not yet released when the last answer was made */
    struct io_op *jobs[FAKE_OP_MAX]; /* compute jobs waiting for fake_run_job() */
    uint32_t job_count;
    struct topic_op *changes[FAKE_OP_MAX];
    uint32_t change_count;
    int change_error;
    uint64_t disk_total; /* bytes, a quarter of them free; 0: nobody has looked yet */
    int64_t cut_end;     /* where a cut ends partitions; 0: at the high watermark */
    int lookup_error;    /* what look-ups end with */
    int64_t young;       /* first offset that is young enough, for look-ups by append time */
    uint32_t cut_gone;   /* this result of a cut, counted from 1, is of a topic deleted meanwhile; 0: none */
    struct topic_config change_config; /* of the last change that had one */
    uint32_t rival_count;              /* before so many changes of settings somebody else sets segment.bytes */
    bool gone;                         /* connections are */
    size_t claim_limit;                /* memory for answers; 0: nobody counts */
    size_t claimed;                    /* of it */
    size_t claimed_max;                /* the most that it has been */
    struct request *claim_waiting;     /* one that waits for a claim; NULL: none */
    request_fn claim_again;
    uint32_t refusals; /* request_refuse() */
    uint32_t replies;
};

extern struct fake *fake; /* the one in use */

void fake_begin(struct fake *f);
void fake_end(struct fake *f);
struct topic *fake_add_topic(struct fake *f, const char *name, int32_t partitions);

/* A request of an API with this message, encoded as a client would. */
struct fake_request *fake_request(struct fake *f, int api_key, int version, const void *message);
/* The same from raw body bytes. */
struct fake_request *fake_request_bytes(struct fake *f, int api_key, int version, const void *body, size_t len);
void fake_dispatch(struct fake *f, struct fake_request *r);
/* fake_request() and fake_dispatch(). */
struct fake_request *fake_send(struct fake *f, int api_key, int version, const void *message);
/* Decode the answer into out; asserts that there is one. Valid until fake_free(). */
void fake_response(struct fake_request *r, void *out);
void fake_free(struct fake_request *r);

/* The connection of this number ends; requests have number 1 unless they are given another. */
void fake_close_conn(struct fake *f, uint64_t conn_id);
/* End the oldest deferred operation. */
void fake_run_op(struct fake *f);
/* Run the compute job at index. */
void fake_run_job(struct fake *f, uint32_t index);
/* A watch fires, with 0 or an error. */
void fake_fire(struct fake *f, uint32_t index, int error);
/* Who waits for a claim is called. */
void fake_claim_again(struct fake *f);
/* Move the clock and run the timers that are due. */
void fake_advance_ms(struct fake *f, uint64_t ms);
int64_t fake_metric(struct fake *f, enum metric_id id);

#endif
