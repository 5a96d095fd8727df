/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads of what only the archive has. A shard lets a few run at a time, others wait their turn, and nobody waits longer
 * than REMOTE_WAIT_NS: then done() tells that the archive cannot be read now, while the read itself, which cannot be
 * taken back, may go on in its memory until gone(). So a slow archive holds up nobody but those who read from it.
 * Owner shard only.
 */
#ifndef EL_STORAGE_REMOTE_H
#define EL_STORAGE_REMOTE_H

#include <storage/shard_state.h>

#define REMOTE_RUNNING_MAX 8u
#define REMOTE_WAIT_NS 15000000000u
#define REMOTE_LEN_MAX (1u << 20) /* of one read, unless one batch is longer */

struct remote {
    struct tier_read read; /* filled by the caller, but for done */
    struct partition *part;
    /* Once: what the read gave; error 0 | EVLOG_ERR_ARCHIVE | _CORRUPT | _LIMIT with read.wanted_len | _NO_MEMORY |
     * _UNSUPPORTED. over: the memory is the caller's again, and may be freed in the call; else gone() will tell. */
    void (*done)(struct remote *remote, int error, bool over);
    void (*gone)(struct remote *remote);
    struct el_list link; /* private: shard->remote_waiting or remote_running */
    uint64_t by_ns;      /* private */
    bool running;        /* private: the archive has it */
    bool answered;       /* private: done() was called */
};

/* Begin; neither done() nor gone() is called from inside. part is pinned until it is
 * over.
 * returns 0 | EVLOG_ERR_ARCHIVE there is no archive; nothing will be called */
int remote_start(struct partition *part, struct remote *remote);
/* Before the first start. */
void remote_init(struct store_shard *shard);

#endif
