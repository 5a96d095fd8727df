/* SPDX-License-Identifier: Apache-2.0
 *
 * Merging runs into one. In a job, in steps, so that a long merge lets other jobs through.
 *
 * Each source is a cursor that stands at its next entry, later its next name; the least one goes out, from the newest
 * run that has it. Slots that no longer exist are left out.
 */
#include <stream/index_run_priv.h>

#include <core/alloc.h>
#include <core/assert.h>

#define ENTRY_COST 20u /* bytes that an entry is worth of a step */
#define NAME_COST 8u   /* and a name beside its key */

struct merge_source {
    struct index_cursor *cursor;
    bool ended;
    struct el_stream_entry entry; /* stands here */
    uint32_t slot;
    struct el_slice key;
};

struct index_merge {
    struct index_run_writer *writer;
    bool (*keep)(void *arg, uint32_t slot);
    void *arg;
    bool names;          /* entries are done */
    bool ended;          /* with or without an error */
    uint32_t asked_slot; /* keep's last answer is for it; 0 none */
    bool kept;
    uint32_t count;
    struct merge_source sources[]; /* newest first */
};

static int entry_advance(struct merge_source *s)
{
    int code = index_cursor_next(s->cursor, &s->entry);
    s->ended = code <= 0;
    return code < 0 ? code : 0;
}

static int name_advance(struct merge_source *s)
{
    int code = index_cursor_next_name(s->cursor, &s->slot, &s->key);
    s->ended = code <= 0;
    return code < 0 ? code : 0;
}

static int sources_start(struct index_merge *m, int (*advance)(struct merge_source *s))
{
    int code = 0;
    for (uint32_t i = 0; i < m->count && code == 0; i++) {
        code = advance(&m->sources[i]);
    }
    m->asked_slot = 0;
    return code;
}

int index_merge_open(const struct index_run *const *runs, uint32_t count, struct disk *disk, const char *path,
                     uint64_t run_id, bool (*keep)(void *arg, uint32_t slot), void *arg, struct index_merge **merge,
                     struct el_error *err)
{
    EL_ASSERT(count > 0);
    EL_ASSERT(count <= INDEX_MERGE_MAX);
    struct index_merge *m = el_calloc(1, sizeof(*m) + count * sizeof(m->sources[0]));
    if (m == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "stream index: no memory to merge %u runs", count);
    }
    m->count = count;
    m->keep = keep;
    m->arg = arg;
    int code = 0;
    for (uint32_t i = 0; i < count && code == 0; i++) {
        code = index_cursor_open(runs[i], &m->sources[i].cursor);
    }
    code = code != 0 ? code : sources_start(m, entry_advance);
    if (code != 0) {
        el_error_set(err, code, "stream index: reading %u runs to merge: %s", count, evlog_error_text(code));
    } else {
        code = index_run_writer_open(disk, path, run_id, &m->writer, err);
    }
    if (code != 0) {
        index_merge_close(m);
        return code;
    }
    *merge = m;
    return 0;
}

void index_merge_close(struct index_merge *m)
{
    if (m == NULL) {
        return;
    }
    index_run_writer_close(m->writer);
    for (uint32_t i = 0; i < m->count; i++) {
        index_cursor_close(m->sources[i].cursor);
    }
    el_free(m);
}

static bool slot_kept(struct index_merge *m, uint32_t slot)
{
    if (slot != m->asked_slot) {
        m->kept = m->keep(m->arg, slot);
        m->asked_slot = slot;
    }
    return m->kept;
}

/* The newest of those that stand at the least entry; NULL when all have ended. */
static struct merge_source *least_entry(struct index_merge *m)
{
    struct merge_source *least = NULL;
    for (uint32_t i = 0; i < m->count; i++) {
        struct merge_source *s = &m->sources[i];
        if (!s->ended && (least == NULL || el_stream_entry_compare(&s->entry, &least->entry) < 0)) {
            least = s;
        }
    }
    return least;
}

/* returns bytes done | 0 there are no more | EVLOG_ERR_... */
static int merge_entry(struct index_merge *m)
{
    struct merge_source *least = least_entry(m);
    if (least == NULL) {
        return 0;
    }
    struct el_stream_entry entry = least->entry;
    int code = slot_kept(m, entry.slot) ? index_run_writer_add(m->writer, &entry) : 0;
    for (struct merge_source *s = least; s < m->sources + m->count && code == 0; s++) {
        if (!s->ended && el_stream_entry_compare(&s->entry, &entry) == 0) {
            code = entry_advance(s);
        }
    }
    return code != 0 ? code : (int)ENTRY_COST;
}

static struct merge_source *least_name(struct index_merge *m)
{
    struct merge_source *least = NULL;
    for (uint32_t i = 0; i < m->count; i++) {
        struct merge_source *s = &m->sources[i];
        if (!s->ended && (least == NULL || el_name_compare(s->slot, s->key, least->slot, least->key) < 0)) {
            least = s;
        }
    }
    return least;
}

static int merge_name(struct index_merge *m)
{
    struct merge_source *least = least_name(m);
    if (least == NULL) {
        return 0;
    }
    uint32_t slot = least->slot;
    struct el_slice key = least->key;
    int cost = (int)(NAME_COST + key.len);
    int code = slot_kept(m, slot) ? index_run_writer_add_name(m->writer, slot, key) : 0;
    /* The others first: their names are compared with the bytes of this one, which last until it moves. */
    for (struct merge_source *s = m->sources + m->count - 1; s >= least && code == 0; s--) {
        if (!s->ended && (s == least || el_name_compare(s->slot, s->key, slot, key) == 0)) {
            code = name_advance(s);
        }
    }
    return code != 0 ? code : cost;
}

int index_merge_step(struct index_merge *m, size_t len, struct el_index_run_info *info)
{
    EL_ASSERT(!m->ended);
    for (size_t done = 0; done < len;) {
        int code = m->names ? merge_name(m) : merge_entry(m);
        if (code == 0 && !m->names) {
            m->names = true;
            code = sources_start(m, name_advance);
            if (code == 0) {
                continue;
            }
        }
        if (code <= 0) {
            m->ended = true;
            return code != 0 ? code : index_run_writer_finish(m->writer, info);
        }
        done += (size_t)code;
    }
    return 1;
}
