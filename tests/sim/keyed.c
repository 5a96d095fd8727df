/* SPDX-License-Identifier: Apache-2.0
 *
 * A record of a compacted topic may be gone when a later one of its key is known to be stored, or when it is a
 * tombstone and so much time has passed since it was appended as tombstones stay. Everything else must be there. When a
 * tombstone is gone, whoever reads the log in less time than tombstones stay sees nothing older of its key either.
 */
#include "keyed.h"

#include <core/assert.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t mix(const struct sent *s, uint32_t index)
{
    struct el_rng rng;
    el_rng_seed(&rng, s->id * 7919 + index);
    return el_rng_next(&rng);
}

uint32_t keyed_configure(struct model *m, struct model_topic *t, struct keyed_setting settings[KEYED_SETTINGS_MAX])
{
    static const char *const ratios[] = {"0", "0", "0.3", "0.8"};
    static const char *const lags[] = {"1", "2000", "2000", "20000"};
    static const char *const stays[] = {"0", "3000", "30000", "86400000"};
    struct world *w = m->w;
    uint32_t count = 0;
    t->compacted = true;
    t->key_count = 4u << 2 * world_below(w, 5);
    uint64_t stay = world_below(w, 4);
    t->tombstone_ns = (uint64_t)strtoull(stays[stay], NULL, 10) * 1000000;
    t->lag_ns = world_chance(w, 200000) ? 5000000000u : 0;
    settings[count++] = (struct keyed_setting){"cleanup.policy", t->retention ? "delete, compact" : "compact"};
    settings[count++] = (struct keyed_setting){"delete.retention.ms", stays[stay]};
    settings[count++] = (struct keyed_setting){"min.cleanable.dirty.ratio", ratios[world_below(w, 4)]};
    settings[count++] = (struct keyed_setting){"max.compaction.lag.ms", lags[world_below(w, 4)]};
    if (t->lag_ns > 0) {
        settings[count++] = (struct keyed_setting){"min.compaction.lag.ms", "5000"};
    }
    EL_ASSERT(count <= KEYED_SETTINGS_MAX);
    return count;
}

static uint32_t key_number(const struct sent *s, uint32_t index)
{
    return (uint32_t)(mix(s, index) % EL_MAX(s->key_count, s->spread));
}

int64_t keyed_number(const struct sent *s, uint32_t index)
{
    return s->key_count == 0 && s->spread == 0 ? -1 : (int64_t)key_number(s, index);
}

void keyed_key(const struct sent *s, uint32_t index, char key[12])
{
    snprintf(key, 12, "k%u", key_number(s, index));
}

bool keyed_tombstone(const struct sent *s, uint32_t index)
{
    return (mix(s, index) >> 32) % 4 == 0;
}

bool keyed_identify(const struct el_batch_record *record, uint64_t *id, uint32_t *index)
{
    struct el_slice data = record->record.value;
    if (data.data == NULL && !el_header_find(&record->record, "id", &data)) {
        return false;
    }
    if (data.len < 12) {
        return false;
    }
    *id = el_get_le64(data.data);
    *index = el_get_le32(data.data + 8);
    return true;
}

bool keyed_right(const struct sent *s, uint32_t index, const struct el_batch_record *record)
{
    char key[12];
    keyed_key(s, index, key);
    return el_slice_eq(record->record.key, el_slice_str(key)) &&
           keyed_tombstone(s, index) == (record->record.value.data == NULL);
}

/* May the batch be so old, by the store's clock, which may have been set back at a start? */
static bool is_past(const struct model *m, const struct sent *s, uint64_t age_ns)
{
    return world_clock_age(m->w, s->made_life, s->append_ns != 0 ? s->append_ns : s->made_ns) >= age_ns;
}

/* Does another batch excuse that (s, index) is gone? */
static bool is_replaced_by(const struct model *m, const struct sent *s, uint32_t index, const struct sent *other,
                           bool damage)
{
    uint64_t tombstone_ns = m->topics[s->topic].tombstone_ns;
    if (other->topic != s->topic || other->partition != s->partition || other->state == SENT_REFUSED) {
        return false;
    }
    for (uint32_t i = 0; i < other->record_count; i++) {
        if (key_number(other, i) != key_number(s, index)) {
            continue;
        }
        if (other->state == SENT_STORED && other->offset + i > s->offset + index) {
            return true;
        }
        /* it may be stored without anybody knowing, and be gone by now, or be hidden */
        if (other->state == SENT_UNKNOWN &&
            (damage || (keyed_tombstone(other, i) && is_past(m, other, tombstone_ns)))) {
            return true;
        }
    }
    return false;
}

int64_t keyed_missing(const struct model *m, const struct sent *s, int64_t start, bool damage)
{
    const struct model_topic *t = &m->topics[s->topic];
    for (uint32_t i = 0; i < s->record_count; i++) {
        bool excused = s->offset + i < start || (s->seen_records >> i & 1) != 0;
        if (!excused && is_past(m, s, t->lag_ns)) {
            excused = keyed_tombstone(s, i) && is_past(m, s, t->tombstone_ns);
            for (uint32_t k = 0; k < m->sent_count && !excused; k++) {
                excused = is_replaced_by(m, s, i, &m->sent[k], damage);
            }
        }
        if (!excused) {
            return s->offset + i;
        }
    }
    return -1;
}

/* Has the scan seen a record of the batch with this key at an offset from .. to - 1? */
static bool shows(const struct sent *s, uint32_t key, int64_t from, int64_t to)
{
    for (uint32_t i = 0; i < s->record_count; i++) {
        int64_t offset = s->offset + i;
        if ((s->seen_records >> i & 1) != 0 && offset >= from && offset < to && key_number(s, i) == key) {
            return true;
        }
    }
    return false;
}

int64_t keyed_revived(const struct model *m, const struct sent *s, int64_t start)
{
    for (uint32_t i = 0; i < s->record_count; i++) {
        if (s->offset + i < start || (s->seen_records >> i & 1) != 0 || !keyed_tombstone(s, i)) {
            continue;
        }
        bool later = false; /* something newer says what the key is now */
        int64_t older = -1;
        for (uint32_t k = 0; k < m->sent_count; k++) {
            const struct sent *other = &m->sent[k];
            bool here = other->topic == s->topic && other->partition == s->partition && other->seen_records != 0;
            older = here && shows(other, key_number(s, i), start, s->offset + i) ? other->offset : older;
            later = later || (here && shows(other, key_number(s, i), s->offset + i, INT64_MAX));
        }
        if (older >= 0 && !later) {
            return older;
        }
    }
    return -1;
}
