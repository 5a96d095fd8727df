/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds out what the index has of the keys and event ids of a batch. Owner shard.
 *
 * 1. every key and id is entered once, in a small map of hashes
 * 2. memory is asked: the active table, the frozen one, for keys the cache of heads, then the filters of the runs. A
 *    stream without any event has no ids either
 * 3. what is still open becomes a list of lookups, which the caller has answered off the shard
 * 4. the answers are taken; those for keys go to the cache of heads
 *
 * What was found stays true while the batch waits, since no other batch of its partition is admitted before it. Memory
 * is one block of the buddy, and one for lookups; without it nothing is kept, and all is done again later.
 */
#include <stream/stream_resolve.h>

#include <core/assert.h>
#include <evlog/error.h>

static struct resolution *resolution_of(struct stream_batch *batch)
{
    struct resolution *r = batch->private_;
    EL_ASSERT(r->magic == STREAM_RESOLUTION_MAGIC);
    return r;
}

/* --- who is in the batch ------------------------------------------------------------------------------------------ */

static struct resolution *resolution_create(struct el_buddy *buddy, const struct stream_batch *batch, bool with_ids)
{
    size_t subject_max = (size_t)batch->record_count * (with_ids ? 2 : 1) + batch->check_count;
    size_t map_count = 8;
    while (map_count < subject_max + subject_max / 2) {
        map_count *= 2;
    }
    size_t number_count = map_count + 2 * (size_t)batch->record_count + batch->check_count;
    size_t len = sizeof(struct resolution) + subject_max * sizeof(struct subject) + number_count * sizeof(uint32_t);
    uint8_t *memory = el_buddy_alloc(buddy, len);
    if (memory == NULL) {
        return NULL;
    }
    struct resolution *r = (struct resolution *)(void *)memory;
    *r = (struct resolution){.magic = STREAM_RESOLUTION_MAGIC, .map_mask = (uint32_t)map_count - 1, .repeated = -1};
    r->subjects = (struct subject *)(void *)(r + 1);
    r->map = (uint32_t *)(void *)(r->subjects + subject_max);
    r->key_of = r->map + map_count;
    r->id_of = r->key_of + batch->record_count;
    r->check_of = r->id_of + batch->record_count;
    memset(r->map, 0, map_count * sizeof(uint32_t));
    return r;
}

/* The number of a key or id; *known says that it was entered before. */
static uint32_t subject_enter(struct resolution *r, struct el_hash128 hash, bool of_id, bool *known)
{
    uint32_t at = (uint32_t)hash.low & r->map_mask;
    for (; r->map[at] != 0; at = (at + 1) & r->map_mask) {
        const struct subject *s = &r->subjects[r->map[at] - 1];
        if (s->hash.low == hash.low && s->hash.high == hash.high && s->of_id == of_id) {
            *known = true;
            return r->map[at] - 1;
        }
    }
    uint32_t number = r->subject_count++;
    r->subjects[number] = (struct subject){.hash = hash, .of_id = of_id, .state = SUBJECT_PENDING};
    r->map[at] = number + 1;
    *known = false;
    return number;
}

static void subjects_enter(struct resolution *r, const struct stream_batch *batch, bool with_ids)
{
    bool known;
    for (uint32_t i = 0; i < batch->record_count; i++) {
        const struct stream_record *record = &batch->records[i];
        bool keyed = (record->flags & STREAM_RECORD_KEY) != 0;
        EL_ASSERT(keyed || record->expected == STREAM_ANY);
        EL_ASSERT(keyed || (record->flags & STREAM_RECORD_ID) == 0);
        r->key_of[i] = keyed ? subject_enter(r, record->key, false, &known) : SUBJECT_NONE;
    }
    for (uint32_t i = 0; i < batch->check_count; i++) {
        r->check_of[i] = subject_enter(r, batch->checks[i].key, false, &known);
    }
    for (uint32_t i = 0; i < batch->record_count; i++) {
        const struct stream_record *record = &batch->records[i];
        r->id_of[i] = SUBJECT_NONE;
        if (with_ids && (record->flags & STREAM_RECORD_ID) != 0) {
            r->id_of[i] = subject_enter(r, record->id, true, &known);
            if (known && r->repeated < 0) {
                r->repeated = (int32_t)i;
            }
        }
    }
}

/* --- what is known of them ---------------------------------------------------------------------------------------- */

static bool in_tables(struct stream_view *view, uint32_t slot, struct el_hash128 hash, struct el_stream_entry *entry)
{
    bool found = stream_table_newest(view->active, slot, hash, entry) ||
                 (view->frozen != NULL && stream_table_newest(view->frozen, slot, hash, entry));
    view->by_memory += found;
    return found;
}

int stream_view_head(struct stream_view *view, uint32_t slot, struct el_hash128 key, struct stream_head *head)
{
    struct el_stream_entry entry;
    if (in_tables(view, slot, key, &entry)) {
        *head = (struct stream_head){.version = (int64_t)entry.position, .place = entry.place};
        return 1;
    }
    if (stream_heads_get(view->heads, slot, key, head)) {
        view->by_heads++;
        return 1;
    }
    if (view->may_hold(view->arg, slot, key)) {
        view->by_runs++;
        return EVLOG_ERR_AGAIN;
    }
    view->by_filters++;
    *head = (struct stream_head){.version = -1};
    return 0;
}

static void key_resolve(struct stream_view *view, uint32_t slot, struct subject *s)
{
    struct stream_head head;
    int found = stream_view_head(view, slot, s->hash, &head);
    if (found == EVLOG_ERR_AGAIN) {
        return;
    }
    s->state = found == 1 ? SUBJECT_FOUND : SUBJECT_ABSENT;
    s->position = found == 1 ? (uint64_t)head.version : 0;
    s->place = head.place;
}

static void id_resolve(struct stream_view *view, uint32_t slot, const struct subject *key, struct subject *s)
{
    struct el_stream_entry entry;
    if (key->state == SUBJECT_ABSENT) {
        s->state = SUBJECT_ABSENT;
    } else if (in_tables(view, slot, s->hash, &entry)) {
        s->state = SUBJECT_FOUND;
        s->position = entry.position;
        s->place = entry.place;
    } else if (!view->may_hold(view->arg, slot, s->hash)) {
        view->by_filters++;
        s->state = SUBJECT_ABSENT;
    } else {
        view->by_runs++;
    }
}

static uint32_t subjects_resolve(struct stream_view *view, uint32_t slot, const struct stream_batch *batch,
                                 struct resolution *r)
{
    uint32_t pending = 0;
    for (uint32_t i = 0; i < r->subject_count && !r->subjects[i].of_id; i++) {
        key_resolve(view, slot, &r->subjects[i]);
        pending += r->subjects[i].state == SUBJECT_PENDING;
    }
    for (uint32_t i = 0; i < batch->record_count; i++) {
        if (r->id_of[i] != SUBJECT_NONE) {
            struct subject *id = &r->subjects[r->id_of[i]];
            id_resolve(view, slot, &r->subjects[r->key_of[i]], id);
            pending += id->state == SUBJECT_PENDING;
        }
    }
    return pending;
}

/* --- asking the runs ---------------------------------------------------------------------------------------------- */

static int lookups_make(struct stream_view *view, struct resolution *r, uint32_t count)
{
    r->lookups = el_buddy_alloc(view->buddy, count * sizeof(*r->lookups));
    if (r->lookups == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < r->subject_count; i++) {
        struct subject *s = &r->subjects[i];
        if (s->state == SUBJECT_PENDING) {
            s->lookup = r->lookup_count;
            r->lookups[r->lookup_count++] = (struct stream_lookup){.hash = s->hash, .of_id = s->of_id};
        }
    }
    EL_ASSERT(r->lookup_count == count);
    r->asked = true;
    return EVLOG_ERR_AGAIN;
}

static void answers_take(struct stream_view *view, uint32_t slot, struct resolution *r)
{
    for (uint32_t i = 0; i < r->subject_count; i++) {
        struct subject *s = &r->subjects[i];
        if (s->state != SUBJECT_PENDING) {
            continue;
        }
        const struct stream_lookup *lookup = &r->lookups[s->lookup];
        s->state = lookup->found ? SUBJECT_FOUND : SUBJECT_ABSENT;
        s->position = lookup->position;
        s->place = lookup->place;
        if (lookup->found && !s->of_id) {
            struct stream_head head = {.version = (int64_t)s->position, .place = s->place};
            stream_heads_put(view->heads, slot, s->hash, &head);
        }
    }
    el_buddy_free(view->buddy, r->lookups);
    r->lookups = NULL;
    r->lookup_count = 0;
    r->asked = false;
    stream_resolve_rewind(r);
}

int stream_resolve(struct stream_view *view, uint32_t slot, struct stream_batch *batch, bool with_ids)
{
    EL_ASSERT(slot != 0);
    EL_ASSERT(batch->record_count <= EL_STREAM_RECORDS_MAX);
    if (batch->private_ != NULL) {
        struct resolution *r = resolution_of(batch);
        if (r->asked) {
            answers_take(view, slot, r);
        }
        return 0;
    }
    struct resolution *r = resolution_create(view->buddy, batch, with_ids);
    if (r == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    batch->private_ = r;
    subjects_enter(r, batch, with_ids);
    uint32_t pending = r->repeated >= 0 ? 0 : subjects_resolve(view, slot, batch, r);
    int code = pending == 0 ? 0 : lookups_make(view, r, pending);
    if (code == EVLOG_ERR_NO_MEMORY) {
        stream_admit_forget(view, batch);
        return code;
    }
    stream_resolve_rewind(r);
    return code;
}

void stream_resolve_rewind(struct resolution *r)
{
    for (uint32_t i = 0; i < r->subject_count; i++) {
        struct subject *s = &r->subjects[i];
        s->version = s->state == SUBJECT_FOUND ? (int64_t)s->position : -1;
        s->flags = s->state == SUBJECT_FOUND ? s->place & STREAM_PLACE_FLAGS : 0;
    }
}

struct stream_lookup *stream_admit_lookups(struct stream_batch *batch, uint32_t *count)
{
    struct resolution *r = resolution_of(batch);
    EL_ASSERT(r->asked);
    *count = r->lookup_count;
    return r->lookups;
}

void stream_admit_forget(struct stream_view *view, struct stream_batch *batch)
{
    if (batch->private_ != NULL) {
        struct resolution *r = resolution_of(batch);
        batch->private_ = NULL;
        r->magic = 0;
        el_buddy_free(view->buddy, r->lookups);
        el_buddy_free(view->buddy, r);
    }
}
