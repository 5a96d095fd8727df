/* SPDX-License-Identifier: Apache-2.0
 *
 * The node file of a data directory: docs/format.md section 2. Bytes in, bytes out: no I/O here.
 */
#ifndef EL_FORMAT_NODE_LAYOUT_H
#define EL_FORMAT_NODE_LAYOUT_H

#include <core/bytes.h>
#include <stdbool.h>

#define EL_NODE_FORMAT 1u
#define EL_NODE_LEN 128u
#define EL_RESTORING_FILE "restoring" /* there while a directory is being restored */

struct el_node {
    uint32_t shard_count;
    struct el_uuid id;
    uint64_t boot; /* starts so far */
    int32_t leader_epoch;
    bool clean;        /* the last run stopped well */
    uint64_t clock_ns; /* last append time then */
    uint64_t incarnation;
};

/* p[EL_NODE_LEN] */
void el_node_put(uint8_t *p, const struct el_node *node);
/* returns 0 | EVLOG_ERR_CORRUPT | EVLOG_ERR_FORMAT a newer one, *format (may be NULL) says which */
int el_node_get(const uint8_t *p, struct el_node *node, uint32_t *format);

#endif
