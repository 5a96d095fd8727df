/* SPDX-License-Identifier: Apache-2.0
 *
 * Admission of a batch to a partition with streams. Owner shard; docs/semantics.md, Streams, has the rules.
 *
 * 1. an id twice in the batch: refused, whatever the index has
 * 2. keys and ids are looked up (stream_resolve.c); nothing is decided before all of them are known
 * 3. ids: all records are there already: a duplicate; some: refused
 * 4. streams that have ended and expected versions, record by record, those before it counting; separate checks all
 *    together, against what was there before the batch
 * 5. entries and names go into the active table; an undo takes them out again
 *
 * Nothing is changed before step 5, and that is done as a whole or not at all.
 */
#include <stream/stream_resolve.h>

#include <core/assert.h>
#include <evlog/error.h>

/* --- answers ------------------------------------------------------------------------------------------------------ */

static void cite(struct stream_batch *batch, int64_t offset)
{
    batch->cited = EL_MAX(batch->cited, offset);
}

/* What the stream is at without the batch. */
static void told_fill(struct stream_check *told, const struct subject *s)
{
    bool found = s->state == SUBJECT_FOUND;
    told->current = found ? (int64_t)s->position : -1;
    told->current_offset = found ? stream_place_offset(s->place) : -1;
    told->deleted = found && (s->place & STREAM_PLACE_FLAGS) != 0;
    told->ended = found && (s->place & STREAM_PLACE_HARD) != 0;
}

static void tell_record(struct stream_batch *batch, const struct resolution *r, uint32_t index)
{
    EL_ASSERT(index < batch->record_count);
    const struct stream_record *record = &batch->records[index];
    batch->failed_index = (int32_t)index;
    batch->told = (struct stream_check){
        .key = record->key,
        .key_bytes = record->key_bytes,
        .expected = record->expected,
        .failed = true,
        .current = -1,
        .current_offset = -1,
    };
    if (r->key_of[index] != SUBJECT_NONE) {
        told_fill(&batch->told, &r->subjects[r->key_of[index]]);
        cite(batch, batch->told.current_offset);
    }
}

static void answer_reset(struct stream_batch *batch)
{
    batch->failed_index = -1;
    batch->cited = -1;
    batch->told = (struct stream_check){.expected = STREAM_ANY, .current = -1, .current_offset = -1};
    for (uint32_t i = 0; i < batch->record_count; i++) {
        batch->records[i].version = batch->records[i].offset = -1;
    }
}

/* --- step 3: event ids -------------------------------------------------------------------------------------------- */

/* returns 0 none of them is there | EVLOG_ERR_EXISTS all | EVLOG_ERR_ID_CONFLICT some */
static int ids_check(struct stream_batch *batch, const struct resolution *r)
{
    uint32_t known = 0;
    uint32_t first = 0;
    for (uint32_t i = 0; i < batch->record_count; i++) {
        if (r->id_of[i] == SUBJECT_NONE || r->subjects[r->id_of[i]].state != SUBJECT_FOUND) {
            continue;
        }
        const struct subject *s = &r->subjects[r->id_of[i]];
        first = known == 0 ? i : first;
        known++;
        batch->records[i].offset = (int64_t)s->position;
        batch->records[i].version = (int64_t)s->place;
        cite(batch, batch->records[i].offset);
    }
    if (known == 0 || known == batch->record_count) {
        return known == 0 ? 0 : EVLOG_ERR_EXISTS;
    }
    tell_record(batch, r, first);
    return EVLOG_ERR_ID_CONFLICT;
}

/* --- step 4: versions --------------------------------------------------------------------------------------------- */

static bool version_holds(int64_t expected, int64_t version, uint64_t flags)
{
    switch (expected) {
    case STREAM_ANY:
        return true;
    case STREAM_NONE:
        return version < 0 || (flags & STREAM_PLACE_FLAGS) == STREAM_PLACE_SOFT;
    case STREAM_EXISTS:
        return version >= 0 && (flags & STREAM_PLACE_FLAGS) == 0;
    default:
        return version == expected;
    }
}

static uint64_t flags_of(const struct stream_record *record)
{
    return ((record->flags & STREAM_RECORD_SOFT) != 0 ? STREAM_PLACE_SOFT : 0) |
           ((record->flags & STREAM_RECORD_HARD) != 0 ? STREAM_PLACE_HARD : 0);
}

/* Number the records one by one, on top of what their streams are at. */
static int records_check(struct stream_batch *batch, struct resolution *r)
{
    for (uint32_t i = 0; i < batch->record_count; i++) {
        if (r->key_of[i] == SUBJECT_NONE) {
            continue;
        }
        const struct stream_record *record = &batch->records[i];
        struct subject *s = &r->subjects[r->key_of[i]];
        int code = (s->flags & STREAM_PLACE_HARD) != 0                      ? EVLOG_ERR_STREAM_ENDED
                   : !version_holds(record->expected, s->version, s->flags) ? EVLOG_ERR_WRONG_VERSION
                                                                            : 0;
        if (code != 0) {
            tell_record(batch, r, i);
            return code;
        }
        s->version++;
        s->flags = flags_of(record);
    }
    return 0;
}

static int checks_check(struct stream_batch *batch, const struct resolution *r)
{
    int code = 0;
    for (uint32_t i = 0; i < batch->check_count; i++) {
        struct stream_check *check = &batch->checks[i];
        told_fill(check, &r->subjects[r->check_of[i]]);
        uint64_t flags = (check->deleted && !check->ended ? STREAM_PLACE_SOFT : 0) |
                         (check->ended ? STREAM_PLACE_HARD : 0);
        check->failed = !version_holds(check->expected, check->current, flags);
        if (check->failed) {
            cite(batch, check->current_offset);
            code = EVLOG_ERR_WRONG_VERSION;
        }
    }
    return code;
}

/* --- step 5: entries ---------------------------------------------------------------------------------------------- */

static int record_add(struct stream_table *table, uint32_t slot, int64_t base_offset, struct stream_record *record,
                      struct subject *key)
{
    int64_t offset = base_offset + record->offset_delta;
    int64_t version = key == NULL ? -1 : key->version + 1;
    EL_ASSERT(offset >= base_offset);
    struct el_stream_entry entry = {.slot = slot, .hash = record->key, .position = (uint64_t)version};
    entry.place = (uint64_t)offset | flags_of(record);
    int code = key == NULL ? 0 : stream_table_add(table, STREAM_KIND_KEY, &entry);
    if (code == 0 && version == 0) {
        code = stream_table_add_name(table, slot, record->key_bytes);
    }
    if (code == 0 && key != NULL && flags_of(record) != 0) {
        entry.hash = stream_hash_deleted(record->key);
        code = stream_table_add(table, STREAM_KIND_DELETED, &entry);
    }
    entry = (struct el_stream_entry){.slot = slot, .position = (uint64_t)offset};
    if (code == 0 && (record->flags & STREAM_RECORD_ID) != 0) {
        entry.hash = record->id;
        entry.place = (uint64_t)version;
        code = stream_table_add(table, STREAM_KIND_ID, &entry);
    }
    if (code == 0 && (record->flags & STREAM_RECORD_TYPE) != 0) {
        entry.hash = record->type;
        entry.place = 0;
        code = stream_table_add(table, STREAM_KIND_TYPE, &entry);
    }
    if (code == 0) {
        record->version = version;
        record->offset = offset;
        if (key != NULL) {
            key->version = version;
            key->flags = flags_of(record);
        }
    }
    return code;
}

/* Could all of it stand in an empty table? */
static bool fits_ever(const struct stream_table *table, const struct stream_batch *batch)
{
    uint32_t entry_count = 0;
    uint64_t name_len = 0;
    for (uint32_t i = 0; i < batch->record_count; i++) {
        const struct stream_record *record = &batch->records[i];
        bool keyed = (record->flags & STREAM_RECORD_KEY) != 0;
        entry_count += keyed + ((record->flags & STREAM_RECORD_ID) != 0) + ((record->flags & STREAM_RECORD_TYPE) != 0) +
                       (keyed && flags_of(record) != 0);
        name_len += keyed ? record->key_bytes.len : 0;
    }
    return stream_table_could_hold(table, entry_count, batch->record_count, name_len);
}

static int batch_add(struct stream_view *view, uint32_t slot, int64_t base_offset, struct stream_batch *batch,
                     struct resolution *r)
{
    struct stream_table_mark mark = stream_table_mark(view->active);
    stream_resolve_rewind(r);
    for (uint32_t i = 0; i < batch->record_count; i++) {
        struct subject *key = r->key_of[i] == SUBJECT_NONE ? NULL : &r->subjects[r->key_of[i]];
        int code = record_add(view->active, slot, base_offset, &batch->records[i], key);
        if (code != 0) {
            stream_table_undo(view->active, mark);
            answer_reset(batch);
            return code == EVLOG_ERR_FULL && !fits_ever(view->active, batch) ? EVLOG_ERR_TOO_LARGE : code;
        }
    }
    view->undo = mark;
    return 0;
}

static int admit_resolved(struct stream_view *view, uint32_t slot, int64_t base_offset, struct stream_batch *batch,
                          struct resolution *r)
{
    int code = ids_check(batch, r);
    if (code != 0) {
        return code;
    }
    stream_resolve_rewind(r);
    code = records_check(batch, r);
    int checked = checks_check(batch, r);
    code = code != 0 ? code : checked;
    return code != 0 ? code : batch_add(view, slot, base_offset, batch, r);
}

int stream_admit(struct stream_view *view, uint32_t slot, int64_t base_offset, struct stream_batch *batch)
{
    EL_ASSERT(base_offset >= 0);
    answer_reset(batch);
    int code = stream_resolve(view, slot, batch, true);
    if (code != 0) {
        return code;
    }
    struct resolution *r = batch->private_;
    if (r->repeated >= 0) {
        tell_record(batch, r, (uint32_t)r->repeated);
        code = EVLOG_ERR_ID_CONFLICT;
    } else {
        code = admit_resolved(view, slot, base_offset, batch, r);
    }
    if (code != EVLOG_ERR_FULL && code != EVLOG_ERR_NO_MEMORY) {
        stream_admit_forget(view, batch);
    }
    EL_ASSERT(code != EVLOG_ERR_WRONG_VERSION || batch->failed_index >= 0 || batch->check_count > 0);
    return code;
}

int stream_admit_replay(struct stream_view *view, uint32_t slot, int64_t base_offset, struct stream_batch *batch,
                        uint32_t *done)
{
    EL_ASSERT(*done <= batch->record_count);
    int code = stream_resolve(view, slot, batch, false);
    if (code != 0) {
        return code;
    }
    struct resolution *r = batch->private_;
    while (*done < batch->record_count) {
        struct stream_table_mark mark = stream_table_mark(view->active);
        struct subject *key = r->key_of[*done] == SUBJECT_NONE ? NULL : &r->subjects[r->key_of[*done]];
        code = record_add(view->active, slot, base_offset, &batch->records[*done], key);
        if (code != 0) {
            stream_table_undo(view->active, mark);
            return code;
        }
        (*done)++;
    }
    EL_ASSERT(*done == batch->record_count);
    stream_admit_forget(view, batch);
    return 0;
}
