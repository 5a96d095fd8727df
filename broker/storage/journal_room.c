/* SPDX-License-Identifier: Apache-2.0
 *
 * How much room the journal has: what can be written before a checkpoint has freed slots, and when appends should wait
 * for that. Only looks; on the shard's thread.
 */
#include <storage/journal.h>

#define QUEUED_BYTES_MAX (16u << 20)

uint64_t journal_used(const struct journal *j)
{
    uint64_t used = j->pos;
    for (uint32_t i = 0; i < j->slot_count; i++) {
        used += j->slots[i].state == JSLOT_USED ? j->slots[i].len : 0;
    }
    return used;
}

/* Another slot may be made: the ring is below its bound, and the disk was not full a moment ago. */
static bool can_grow(const struct journal *j)
{
    return j->slot_count < j->slot_max && j->prepare_timer.heap_index == 0;
}

/* In the slots that there are. */
static uint64_t left_now(const struct journal *j)
{
    EL_ASSERT(j->pos <= j->slots[j->active].len);
    uint64_t left = j->slots[j->active].len - j->pos;
    for (uint32_t i = 0; i < j->slot_count; i++) {
        left += j->slots[i].state == JSLOT_FREE ? j->slots[i].len : 0;
    }
    return left;
}

uint64_t journal_left(const struct journal *j)
{
    return left_now(j) + (can_grow(j) ? (j->slot_max - j->slot_count) * j->cfg.slot_len : 0);
}

uint32_t journal_stale_slots(const struct journal *j, uint64_t cut)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < j->slot_count; i++) {
        count += j->slots[i].state == JSLOT_USED && j->slots[i].last_sequence <= cut;
    }
    return count;
}

/* Bytes of groups that may wait before appends do. */
static uint64_t queued_max(const struct journal *j)
{
    return EL_MIN((uint64_t)QUEUED_BYTES_MAX, j->cfg.slot_len / 2);
}

bool journal_behind(const struct journal *j)
{
    return j->queued_bytes > queued_max(j);
}

/* The ring has its full number of slots, and what may be queued could need another one. */
static bool is_full(const struct journal *j)
{
    const struct jslot *active = &j->slots[j->active];
    uint32_t used = 0, room = 0; /* a small free slot (the first one is) is no room for a large group */
    for (uint32_t i = 0; i < j->slot_count; i++) {
        used += j->slots[i].state == JSLOT_USED;
        room += j->slots[i].state == JSLOT_FREE && j->slots[i].len >= EL_MIN(j->cfg.slot_len, active->len);
    }
    bool over = j->slot_count > j->slot_max; /* what had been taken needed one more: that one is not for appends */
    return used > 0 && ((room == 0 && (over || j->pos + queued_max(j) > active->len)) ||
                        (room <= 1 && j->pos > active->len / 4 * 3));
}

bool journal_tight(const struct journal *j)
{
    return !can_grow(j) && journal_tight_as_it_is(j);
}

bool journal_tight_as_it_is(const struct journal *j)
{
    if (j->slot_count < j->slot_max) { /* on a full disk it must do with what it has */
        return left_now(j) < j->queued_bytes + j->cfg.slot_len / 2;
    }
    return is_full(j);
}
