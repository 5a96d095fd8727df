/* SPDX-License-Identifier: Apache-2.0
 *
 * How far a partition goes and how old an event of it is, at once: nothing is read from the disk. Owner shard only.
 */
#include <storage/segment.h>
#include <storage/shard_state.h>

#define WALK_MAX 1024 /* entries: what is behind so many has about the same age */

/* Of the last chunk that begins at or before the offset; 0: not in the index, or there is none in memory. */
static uint64_t time_by_index(const struct segment_index *index, int64_t offset)
{
    uint32_t low = 0, high = index == NULL ? 0 : segment_index_count(index);
    const struct el_index_entry *entries = index == NULL ? NULL : segment_index_entries(index);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (entries[middle].base_offset <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? 0 : entries[low - 1].append_time_ns;
}

static uint64_t time_in_segment(const struct segment *seg, int64_t offset)
{
    uint64_t time_ns = time_by_index(seg->index, offset);
    if (time_ns != 0 || offset <= seg->base_offset || seg->last_append_ns <= seg->first_append_ns) {
        return EL_MAX(time_ns, seg->first_append_ns);
    }
    double part = (double)(offset - seg->base_offset) / (double)(seg->end_offset - seg->base_offset);
    return seg->first_append_ns + (uint64_t)(part * (double)(seg->last_append_ns - seg->first_append_ns));
}

static uint64_t time_in_memory(const struct partition *part, int64_t offset)
{
    uint32_t steps = 0;
    uint64_t time_ns = 0;
    const struct el_list *first = part->pending == NULL ? part->entries.next : &part->pending->link;
    for (const struct el_list *n = first; n != &part->entries && steps++ < WALK_MAX; n = n->next) {
        const struct batch_entry *e = EL_CONTAINER(n, struct batch_entry, link);
        if (e->base_offset > offset && time_ns != 0) {
            break;
        }
        time_ns = e->append_time_ns;
        if (offset < batch_entry_next(e)) {
            break;
        }
    }
    return time_ns;
}

static uint64_t time_at(const struct partition *part, int64_t offset)
{
    if (offset >= part->high_watermark) {
        return 0;
    }
    const struct segment *found = NULL;
    for (const struct el_list *n = part->segments.prev; n != &part->segments && offset < part->segment_end;
         n = n->prev) {
        const struct segment *seg = EL_CONTAINER(n, struct segment, link);
        if (!seg->removed) {
            found = seg;
        }
        if (seg->base_offset <= offset) {
            break;
        }
    }
    return found == NULL ? time_in_memory(part, offset) : time_in_segment(found, offset);
}

bool store_look(struct store_shard *shard, const struct el_uuid *topic_id, int32_t partition, int64_t offset,
                struct store_look *look)
{
    const struct partition *part = partition_find(shard, topic_id, partition);
    if (part == NULL || tier_settling(part)) {
        return false;
    }
    *look = (struct store_look){
        .log_start_offset = part->log_start,
        .high_watermark = part->high_watermark,
        .append_time_ns = time_at(part, EL_MAX(offset, part->log_start)),
    };
    return true;
}
