/* SPDX-License-Identifier: Apache-2.0
 *
 * A client: the connections to one cluster, what is known of its topics, and the one internal thread that does all
 * input and output. Works with evlog and with Apache Kafka.
 *
 * Thread safety: every function may be called from any thread; closing must be the last call. Producers and consumers
 * made from a client are closed before it. After fork() the child must not use the parent's client. Since 1.0.
 */
#ifndef EVLOG_CLIENT_H
#define EVLOG_CLIENT_H

#include <evlog/settings.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct evlog_client;

/* Offsets with a meaning, wherever an offset or a time is asked for. */
#define EVLOG_OFFSET_LATEST (-1)   /* behind the last readable event */
#define EVLOG_OFFSET_EARLIEST (-2) /* the first event that is still there */

/* Start a client. Does not wait for the broker: the first call that needs it does.
 *
 * settings  NULL for the defaults; copied
 * client    written on success; close with evlog_client_close()
 * returns   0 | EVLOG_ERR_INVALID_CONFIG settings that contradict each other | EVLOG_ERR_NO_MEMORY |
 *           EVLOG_ERR_NO_FILES, EVLOG_ERR_IO no descriptor or thread to be had
 */
int evlog_client_open(const struct evlog_settings *settings, struct evlog_client **client,
                      struct evlog_failure *failure);

/* Stop the thread and close the connections. No other thread may be inside a call with this client any more. NULL is
 * allowed. Blocks for the thread's current turn (a name being resolved, at worst), not for answers. */
void evlog_client_close(struct evlog_client *client);

/* Let every call that waits for an answer end at once, and each that comes: with EVLOG_ERR_CLOSED or
 * EVLOG_ERR_TIMED_OUT, or EVLOG_ERR_IN_DOUBT and in_doubt set where what was asked for may have happened. What a
 * producer, a subscriber or a group does in the background goes on, so that they can be flushed and closed. There is no
 * way back. Any thread, and any signal handler. Since 1.0.
 */
void evlog_client_give_up(struct evlog_client *client);

/* Ask whether the cluster answers. Blocks.
 *
 * timeout_ms  -1: request.timeout.ms
 * returns     0 | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_TIMED_OUT
 */
int evlog_client_ping(struct evlog_client *client, int timeout_ms, struct evlog_failure *failure);

/* What the broker is, after evlog_client_ping() or any other call has reached it. */
struct evlog_broker_info {
    size_t size;   /* sizeof(struct evlog_broker_info), set by the caller */
    bool is_evlog; /* answers evlog's own requests */
    int32_t node_count;
    char cluster_id[64]; /* cut when longer */
};
int evlog_client_info(struct evlog_client *client, struct evlog_broker_info *info, struct evlog_failure *failure);

/* --- event loops, log, statistics --------------------------------------------------------------------------------- */

/* A descriptor for poll() and the like: readable while a producer or a subscriber of this client has something for its
 * caller, or a line of the log waits. Then call evlog_poll(), evlog_subscriber_next() with a timeout of 0 until it
 * returns 0, and evlog_client_poll(). The descriptor is the client's: only wait for it.
 *
 * returns  the descriptor | EVLOG_ERR_NO_FILES
 */
int evlog_client_fd(struct evlog_client *client);

/* Run the callbacks of the client itself (the log) that are due on this thread.
 *
 * timeout_ms  how long to wait for the first one; 0: do not wait; -1: without end
 * returns     callbacks run, 0 or more
 */
int evlog_client_poll(struct evlog_client *client, int timeout_ms);

enum evlog_log_level {
    EVLOG_LOG_ERROR,   /* something does not work, and will not by itself */
    EVLOG_LOG_WARNING, /* something failed and is tried again */
    EVLOG_LOG_INFO,    /* connections, rebalances */
    EVLOG_LOG_DEBUG,
};

/* One line of the log, without a line break; text is borrowed for the call. */
typedef void (*evlog_log_fn)(void *arg, enum evlog_log_level level, const char *text);

/* Say who hears the log; NULL: nobody (the default). fn is called inside evlog_client_poll(), evlog_poll(),
 * evlog_subscriber_next() and evlog_subscriber_poll(), on the caller's thread. At most 256 lines wait; when more come,
 * the oldest are dropped, and a line says how many. */
void evlog_client_set_log(struct evlog_client *client, enum evlog_log_level level_max, evlog_log_fn fn, void *arg);

/* What the client has done, as one JSON object: connections, requests, producers, subscribers. Counts since each was
 * made; members may be added.
 *
 * json     written on success, NUL-terminated; free with evlog_text_free()
 * returns  0 | EVLOG_ERR_NO_MEMORY
 */
int evlog_client_stats(struct evlog_client *client, char **json, struct evlog_failure *failure);
void evlog_text_free(char *text);

/* The version of the library, such as "0.1.0". Static storage. */
const char *evlog_version(void);

#ifdef __cplusplus
}
#endif
#endif
