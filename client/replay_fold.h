/* SPDX-License-Identifier: Apache-2.0
 *
 * The pure core of a replay: events in, state and digest out. No network, no clock, so that it can be tested, and
 * compared with a second implementation, without a broker.
 *
 *   1. el_fold_add() for every event that counts, el_fold_pass() for one that only raises its stream's version; the
 *      events of one partition in offset order.
 *   2. el_fold_finish() sorts the streams by key and closes the digest.
 *   3. el_fold_live() walks the live keys in byte order.
 *
 * Memory: one entry per key; with keep_latest also the last event of every live key. One thread.
 * Source: docs/semantics.md, Replay.
 */
#ifndef EL_CLIENT_REPLAY_FOLD_H
#define EL_CLIENT_REPLAY_FOLD_H

#include <core/map.h>

/* One event as the fold sees it; everything is borrowed for the call. */
struct el_fold_event {
    struct el_slice key;     /* data NULL: none */
    struct el_slice value;   /* data NULL: null */
    struct el_slice type;    /* data NULL: none */
    struct el_slice id;      /* data NULL: none */
    struct el_slice data;    /* the value, or what a structured envelope holds */
    struct el_slice headers; /* as the caller has packed them; kept with the last event, in no digest */
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms;
    int64_t append_time_ns; /* -1 unknown */
};

struct el_fold_options {
    bool keep_latest;              /* hold the last event of every key */
    const char *const *drop_types; /* [drop_type_count] globs, borrowed as long as the fold lives */
    size_t drop_type_count;
};

struct el_fold_stream; /* one key; see replay_fold.c */

struct el_fold {
    struct el_fold_options options;
    struct el_map keyed;            /* key -> stream */
    struct el_map keyless;          /* partition, be32 -> stream */
    struct el_fold_stream **sorted; /* [keyed.count] by key, after el_fold_finish() */
    uint64_t event_count;           /* events added */
    uint64_t keyless_count;         /* of those, without a key */
    uint64_t key_count;             /* streams with events added, after el_fold_finish() */
};

void el_fold_init(struct el_fold *fold, const struct el_fold_options *options);
void el_fold_destroy(struct el_fold *fold);

/* Take an event into digest and state.
 *
 * version  written on success: the event's number in its stream, -1 without a key
 * returns  0 | EVLOG_ERR_NO_MEMORY (the fold can only be destroyed then) | EVLOG_ERR_LIMIT a key above 4 GiB
 */
int el_fold_add(struct el_fold *fold, const struct el_fold_event *event, int64_t *version);

/* Count an event in its stream's version and nowhere else: it lies outside the times asked for. */
int el_fold_pass(struct el_fold *fold, const struct el_fold_event *event);

/* Does an event remove its key? */
bool el_fold_removes(const struct el_fold *fold, const struct el_fold_event *event);

/* Number that the next event of a key would have; 0 for a key that is not there. */
uint64_t el_fold_version(const struct el_fold *fold, struct el_slice key);

/* Sort and close the digest. Afterwards nothing may be added.
 *
 * returns  0 | EVLOG_ERR_NO_MEMORY
 */
int el_fold_finish(struct el_fold *fold, uint8_t digest[32]);

/* The next live key, in byte order, after el_fold_finish().
 *
 * cursor   0 at the start, moved by the call
 * event    the last event of the key; slices live as long as the fold
 * version  its number in its stream
 * returns  false at the end
 */
bool el_fold_live(const struct el_fold *fold, size_t *cursor, struct el_fold_event *event, int64_t *version);

/* Glob over bytes: * any run, ? one byte, [a-z] and [!a-z] one byte of a set; a backslash takes the next byte as it
 * is. */
bool el_glob_match(const char *pattern, struct el_slice text);

#endif
