/* SPDX-License-Identifier: Apache-2.0
 *
 * The stream index of a one-shard node on the simulated machine, for tests that make one thing happen. Blocking calls:
 * each steps the machine until its answer has come.
 */
#ifndef EL_TEST_STREAM_LIFE_KIT_H
#define EL_TEST_STREAM_LIFE_KIT_H

#include "../../sim/sim_tier.h"
#include "../../sim/stream_world.h"
#include <stream/stream_state.h>
#include <test.h>

struct life {
    struct world w;
    struct stream_world sw;
    struct el_uuid topic;
    uint64_t sent; /* events so far */
};

/* A machine that is off, with an empty disk and the least memory for the index. */
void life_init(struct life *l, uint64_t seed);
/* One with an archive, which the topic's events are told of and shown by (evlog.durability=store). */
void life_init_archived(struct life *l, uint64_t seed);
void life_free(struct life *l);
/* Start. returns 0 | EVLOG_ERR_... with a text */
int life_open(struct life *l, struct el_error *err);
/* Start, and make the topic with streams when it is the first time. */
void life_begin(struct life *l);
/* A clean stop. */
void life_stop(struct life *l);
/* Power cut, and power again. A test that does so says that before it begins: what a machine has in memory then is left
 * behind, and no leak until life_free(). */
void life_will_crash(void);
void life_crash(struct life *l);
struct streams *life_streams(struct life *l);
void life_steps(struct life *l, uint32_t count);
/* Run until nothing is under way in the background. */
void life_rest(struct life *l);

/* Append one event; id NULL none. returns 0 | EVLOG_ERR_...; *version is filled in, unless NULL */
int life_append(struct life *l, const char *key, const char *id, int64_t expected, int64_t *version);
/* The same, without waiting for its answer in between; one at a time. */
void life_append_begin(struct life *l, const char *key);
int life_append_end(struct life *l);
/* So many events of as many streams "s<n>", from first on, several in a batch; all must be taken. */
void life_append_many(struct life *l, uint32_t first, uint32_t count);
/* What is in memory becomes a run. */
void life_flush(struct life *l);
/* Version of the last event of a stream, -1 none | EVLOG_ERR_... */
int64_t life_last(struct life *l, const char *key);
/* Files whose path contains text, and the path of the first of them (128 bytes). */
uint32_t life_files(struct life *l, const char *text, char *path);

#endif
