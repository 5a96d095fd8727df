/* SPDX-License-Identifier: Apache-2.0
 *
 * How far groups are behind, for one look at /metrics: lists that shards fill, and the part of the page made of them.
 * A list belongs to one thread at a time: whoever looks makes it, one shard fills it, then each shard adds what it
 * knows of the partitions that it owns (it writes to those entries alone), then it comes back.
 */
#ifndef EL_OBS_LAG_H
#define EL_OBS_LAG_H

#include <core/buffer.h>
#include <core/bytes.h>
#include <core/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lag_kind {
    LAG_CONSUMER, /* a partition that a consumer group has committed an offset of */
    LAG_WORK,     /* a partition that a work group works on; complete as it is listed */
    LAG_LETTERS,  /* a partition of a topic of dead letters */
};

struct lag_entry {
    enum lag_kind kind;
    uint32_t group_pos, topic_pos; /* of their names in text, each with a NUL */
    struct el_uuid topic_id;
    int32_t partition;
    int64_t offset;    /* next one of the group */
    int64_t records;   /* behind the offset; -1: not known (yet) */
    uint64_t since_ns; /* append time of the first of them, about; 0 not known */
};

struct lag_list {
    struct lag_entry *entries; /* [entry_count] of el_malloc() */
    uint32_t entry_count, entry_max;
    char *text; /* [text_len] of el_malloc() */
    size_t text_len, text_max;
    uint64_t left_out; /* entries there was no room for */
};

/* Room for entry_max entries. returns 0 | EVLOG_ERR_NO_MEMORY */
int lag_list_init(struct lag_list *list, uint32_t entry_max);
void lag_list_free(struct lag_list *list);
/* Begin anew. */
void lag_list_reset(struct lag_list *list);
/* Add an entry; names are copied, entry's positions are set here. Never allocates: without room it is counted. */
void lag_list_add(struct lag_list *list, struct el_slice group, struct el_slice topic, const struct lag_entry *entry);

struct lag_page {
    struct lag_list *lists; /* [list_count]; their entries are sorted here */
    uint32_t list_count;
    uint32_t late_count; /* lists that did not come back in time, and are not among them */
    uint32_t rows_max;   /* groups with topics, and topics of dead letters, each; those with most records are shown */
    uint64_t now_ns;     /* append time now */
};

/* Add the rows of evlog_group_lag_... and evlog_dlq_records to a page. A failure is the buffer's. */
void lag_render(const struct lag_page *page, struct el_buffer *out);

#endif
