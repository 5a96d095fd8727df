/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of a state that are kept, to be compared with those of another: copies of what a replay with the fold tells, by
 * key in byte order.
 */
#ifndef EVLOG_TOOLS_KEPT_ROWS_H
#define EVLOG_TOOLS_KEPT_ROWS_H

#include "cli.h"

#include <core/arena.h>

struct kept_row {
    struct evlog_event event; /* headers too, when the replay told them */
    struct evlog_replay_event replayed;
};

struct kept_rows {
    struct el_arena arena;
    struct kept_row **rows; /* [count] of room */
    size_t count, room;
};

/* Begin with none. */
void kept_rows_init(struct kept_rows *kept);
/* Keep a copy. returns 0 | EVLOG_ERR_NO_MEMORY */
int kept_rows_add(struct kept_rows *kept, const struct evlog_replay_event *event);
void kept_rows_free(struct kept_rows *kept);
/* Order of keys: bytes, and the shorter one first. */
int kept_key_order(struct evlog_bytes a, struct evlog_bytes b);
bool kept_bytes_equal(struct evlog_bytes a, struct evlog_bytes b); /* null is not empty */

/* Replay the state of a topic as it is now, or was, and keep it. returns CLI_OK | exit code, told */
int kept_rows_read(struct cli *cli, const struct evlog_replay_options *options, struct kept_rows *kept,
                   struct evlog_replay_summary *summary);

#endif
