/* SPDX-License-Identifier: Apache-2.0
 *
 * A net over real sockets with a toy handler, driven together with its clients by one thread. EACH_BACKEND(claim)
 * defines uring.claim and posix.claim as in tests/unit/io.
 *
 * Requests have the key of Metadata, version 0. The first byte of the body is the order:
 *   'e' answer at once with the whole body     'h' hold: the test answers later     's' no answer
 *   'm' an empty Metadata answer                    'x' one that cannot be encoded
 *   't' throttle for as many ms as the byte behind it says, and an empty Metadata answer
 *   'b' answer with as many bytes as the be32 behind it says                        'r' refuse
 */
#ifndef EL_TEST_TOY_H
#define EL_TEST_TOY_H

#include "../../lib/test.h"

#include <io/io.h>
#include <net/net.h>
#include <obs/metrics.h>

#define TOY_HELD_MAX 256

struct toy {
    struct io *io;
    struct disk *disk;
    struct el_buddy buddy;
    struct metrics *metrics;
    struct net *net;
    struct config_listener listeners[CONFIG_LISTENERS_MAX];
    struct net_config config;
    struct census census;
    struct request *held[TOY_HELD_MAX]; /* [held_count] in order of dispatch */
    uint32_t held_count;
    uint32_t dispatch_count;
    uint32_t abandon_count;
    uint32_t stopped_count;
    uint32_t closed_count;   /* conn_closed calls */
    char log[4096];          /* lines logged */
    size_t buddy_used_first; /* after the start */
};

typedef void (*toy_fn)(struct toy *toy);

/* What a test may change before net_start(). */
typedef void (*toy_config_fn)(struct net_config *config);
void toy_run(bool uring, toy_config_fn config, toy_fn body);
/* Stop the net and check that nothing is left; toy_run does so when the body has not. */
void toy_stop(struct toy *toy);
/* Begin to stop it, with a minute for what is under way. */
void toy_begin_stop(struct toy *toy);
void toy_step(struct toy *toy);
/* Answer a held request with its body, or end it; it leaves held. */
void toy_answer(struct toy *toy, uint32_t index);

/* Step until the condition holds; the test fails after a minute. */
#define TOY_UNTIL(toy, condition)                                                                                      \
    do {                                                                                                               \
        uint64_t toy_until_ns = io_mono((toy)->io) + 60000000000u;                                                     \
        while (!(condition)) {                                                                                         \
            assert_true(io_mono((toy)->io) < toy_until_ns);                                                            \
            toy_step(toy);                                                                                             \
        }                                                                                                              \
    } while (0)

/* --- clients ---------------------------------------------------------------------------------------------------- */

int toy_connect(struct toy *toy);
int toy_connect_to(struct toy *toy, uint32_t listener_index);
/* Send all, stepping while the socket is full. */
void toy_send(struct toy *toy, int fd, const void *data, size_t len);
/* A request frame of key 3 version 0; body behind the header. returns its length */
size_t toy_frame(uint8_t *frame, int32_t correlation_id, const void *body, size_t body_len);
void toy_request(struct toy *toy, int fd, int32_t correlation_id, const char *body);
/* Receive one answer, at most body_max bytes of body. returns its length */
size_t toy_receive(struct toy *toy, int fd, int32_t *correlation_id, void *body, size_t body_max);
/* Receive an answer and compare. */
void toy_expect(struct toy *toy, int fd, int32_t correlation_id, const char *body);
/* Step until the other side has closed; bytes before that fail the test. */
void toy_expect_close(struct toy *toy, int fd);

/* A connection whose client claims to be this principal, and what comes of it: 0 | EVLOG_ERR_LIMIT. */
int toy_connect_as(struct toy *toy, const char *principal, int expected);

#define EACH_BACKEND(claim) EACH_BACKEND_WITH(claim, NULL)
#define EACH_BACKEND_WITH(claim, config)                                                                               \
    static void each_##claim(struct toy *toy);                                                                         \
    TEST(uring, claim)                                                                                                 \
    {                                                                                                                  \
        toy_run(true, config, each_##claim);                                                                           \
    }                                                                                                                  \
    TEST(posix, claim)                                                                                                 \
    {                                                                                                                  \
        toy_run(false, config, each_##claim);                                                                          \
    }                                                                                                                  \
    static void each_##claim(struct toy *toy)

#endif
