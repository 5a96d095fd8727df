/* SPDX-License-Identifier: Apache-2.0
 *
 * Consumers: they read partitions while producers append, wait at the end, give up waiting, go back to old offsets.
 * Everything they are shown must be right and must stay.
 */
#ifndef EL_SIM_READERS_H
#define EL_SIM_READERS_H

#include "model.h"

#define READERS_MAX 4

enum reader_state { READER_IDLE, READER_READING, READER_WATCHING };

struct reader {
    struct model *m;
    enum reader_state state;
    bool placed; /* topic, partition and next mean something */
    bool fresh;  /* it was just placed: next may lie inside a batch */
    uint32_t topic;
    int32_t partition;
    int64_t next;
    int64_t end_before; /* end that was known when its read began */
    struct read_op read;
    struct watch_op watch;
    bool cancelled;
};

struct readers {
    struct reader list[READERS_MAX];
    uint64_t max; /* how many of them do anything */
};

void readers_init(struct readers *r, struct model *m, uint64_t max);
/* One of them does something. */
void readers_act(struct readers *r);
/* True when one waits for an answer to a read. */
bool readers_busy(const struct readers *r);
/* True when one waits for events of a topic that is there. */
bool readers_watch(const struct readers *r);
/* The process is gone: they begin anew. */
void readers_reset(struct readers *r);

#endif
