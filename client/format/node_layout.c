/* SPDX-License-Identifier: Apache-2.0 */
#include <format/node_layout.h>

#include <core/hash.h>
#include <evlog/error.h>

#define NODE_MAGIC "EVLOGNOD"

void el_node_put(uint8_t *p, const struct el_node *node)
{
    memset(p, 0, EL_NODE_LEN);
    memcpy(p, NODE_MAGIC, 8);
    el_put_le32(p + 8, EL_NODE_FORMAT);
    el_put_le32(p + 12, node->shard_count);
    memcpy(p + 16, node->id.bytes, 16);
    el_put_le64(p + 32, node->boot);
    el_put_le32(p + 40, (uint32_t)node->leader_epoch);
    el_put_le32(p + 44, node->clean);
    el_put_le64(p + 48, node->clock_ns);
    el_put_le64(p + 56, node->incarnation);
    el_put_le64(p + 120, el_xxh3(p, 120));
}

int el_node_get(const uint8_t *p, struct el_node *node, uint32_t *format)
{
    if (memcmp(p, NODE_MAGIC, 8) != 0 || el_get_le64(p + 120) != el_xxh3(p, 120)) {
        return EVLOG_ERR_CORRUPT;
    }
    if (format != NULL) {
        *format = el_get_le32(p + 8);
    }
    if (el_get_le32(p + 8) > EL_NODE_FORMAT) {
        return EVLOG_ERR_FORMAT;
    }
    if (el_get_le32(p + 40) > INT32_MAX) {
        return EVLOG_ERR_CORRUPT;
    }
    node->shard_count = el_get_le32(p + 12);
    memcpy(node->id.bytes, p + 16, 16);
    node->boot = el_get_le64(p + 32);
    node->leader_epoch = (int32_t)el_get_le32(p + 40);
    node->clean = el_get_le32(p + 44) == 1;
    node->clock_ns = el_get_le64(p + 48);
    node->incarnation = el_get_le64(p + 56);
    return 0;
}
