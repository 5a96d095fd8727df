/* SPDX-License-Identifier: Apache-2.0
 *
 * See lease_story.h. A story is a few hundred bytes of CBOR that only grows: an attempt is added by a copy.
 */
#include <lease/lease_story.h>

#include <core/cbor.h>
#include <core/utf8.h>

#define ATTEMPT_ITEMS 5u
#define ATTEMPT_LEN_MAX (1u + 9u + 3u * (3u + LEASE_STORY_TEXT_MAX) + 32u)

void lease_stories_init(struct lease_stories *stories, struct leases *ls)
{
    stories->ls = ls;
    el_map_init(&stories->by_offset, ls->buddy);
    el_list_init(&stories->changed);
    el_list_init(&stories->writing);
}

static void story_free(struct lease_stories *stories, struct lease_story *story)
{
    el_map_remove(&stories->by_offset, &story->offset, sizeof story->offset);
    el_list_remove(&story->link);
    lease_drop(stories->ls, &story->entries);
    lease_free(stories->ls, story);
}

void lease_stories_free(struct lease_stories *stories)
{
    while (stories->by_offset.count > 0) {
        story_free(stories, stories->by_offset.entries[stories->by_offset.count - 1].value);
    }
    el_map_destroy(&stories->by_offset);
}

struct lease_story *lease_story_find(const struct lease_stories *stories, int64_t offset)
{
    bool inside = offset >= stories->lowest && offset <= stories->highest;
    return inside ? el_map_get(&stories->by_offset, &offset, sizeof offset) : NULL;
}

/* memory: zeroed, for the story, becomes its own; NULL: there was none. */
static struct lease_story *story_new(struct lease_stories *stories, int64_t offset, struct lease_story *memory)
{
    struct lease_story *story = memory;
    if (story == NULL) {
        return NULL;
    }
    story->offset = offset;
    el_list_init(&story->link);
    if (el_map_put(&stories->by_offset, &story->offset, sizeof story->offset, story) != 0) {
        lease_free(stories->ls, story);
        return NULL;
    }
    bool only = stories->by_offset.count == 1;
    stories->lowest = only ? offset : EL_MIN(stories->lowest, offset);
    stories->highest = only ? offset : EL_MAX(stories->highest, offset);
    return story;
}

static void changed(struct lease_stories *stories, struct lease_story *story)
{
    el_list_remove(&story->link);
    el_list_push_back(&stories->changed, &story->link);
}

/* --- attempts ----------------------------------------------------------------------------------------------------- */

/* At most so many bytes, whole characters where it is text. */
static struct el_slice cut(struct el_slice text)
{
    if (text.len <= LEASE_STORY_TEXT_MAX) {
        return text;
    }
    size_t len = LEASE_STORY_TEXT_MAX;
    while (len > LEASE_STORY_TEXT_MAX - 4 && (text.data[len] & 0xc0) == 0x80) {
        len--;
    }
    return el_slice_of(text.data, len);
}

static void write_text(struct el_writer *w, struct el_slice text)
{
    if (text.data == NULL) {
        el_cbor_write_null(w);
    } else if (el_utf8_valid(text.data, text.len)) {
        el_cbor_write_text(w, text);
    } else {
        el_cbor_write_bytes(w, text);
    }
}

static size_t attempt_encode(uint8_t *buf, size_t room, const struct lease_attempt *attempt)
{
    struct el_writer w;
    el_writer_init(&w, buf, room);
    el_cbor_write_array(&w, ATTEMPT_ITEMS);
    el_cbor_write_int(&w, attempt->time_ms);
    write_text(&w, cut(attempt->worker));
    el_cbor_write_cstr(&w, attempt->outcome);
    write_text(&w, cut(attempt->reason));
    write_text(&w, cut(attempt->error));
    EL_ASSERT(w.err == 0);
    return el_writer_len(&w);
}

/* Without the first attempt. */
static struct el_slice without_first(const struct lease_story *story)
{
    struct el_reader r;
    el_reader_init(&r, story->entries.data, story->entries.len);
    int code = el_cbor_skip(&r, EL_CBOR_DEPTH_MAX);
    EL_ASSERT(code == 0);
    return el_slice_of(r.p, el_reader_left(&r));
}

void lease_story_add(struct lease_stories *stories, int64_t offset, const struct lease_attempt *attempt)
{
    uint8_t text[ATTEMPT_LEN_MAX];
    struct lease_story *story = lease_story_find(stories, offset);
    bool is_new = story == NULL;
    story = is_new ? story_new(stories, offset, lease_alloc_spare(stories->ls, sizeof *story)) : story;
    if (story == NULL) {
        return;
    }
    size_t len = attempt_encode(text, sizeof text, attempt);
    bool full = story->count == LEASE_STORY_ATTEMPTS_MAX;
    struct el_slice old = full ? without_first(story) : story->entries;
    uint8_t *grown = lease_alloc_spare(stories->ls, old.len + len);
    if (grown == NULL) {
        if (is_new) {
            story_free(stories, story);
        }
        return;
    }
    if (old.len > 0) {
        memcpy(grown, old.data, old.len);
    }
    memcpy(grown + old.len, text, len);
    lease_drop(stories->ls, &story->entries);
    story->entries = el_slice_of(grown, old.len + len);
    story->count += full ? 0 : 1;
    EL_ASSERT(story->count <= LEASE_STORY_ATTEMPTS_MAX);
    story->ended = false;
    changed(stories, story);
}

static void end_one(struct lease_stories *stories, struct lease_story *story)
{
    if (!story->stored) {
        story_free(stories, story);
        return;
    }
    story->ended = true;
    changed(stories, story);
}

void lease_story_end(struct lease_stories *stories, int64_t first, int64_t last)
{
    first = EL_MAX(first, stories->lowest); /* what is done in front of many that wait costs nothing */
    last = EL_MIN(last, stories->highest);
    if (stories->by_offset.count == 0 || first > last) {
        return;
    }
    if ((uint64_t)(last - first) < stories->by_offset.count) {
        for (int64_t offset = first; offset <= last; offset++) {
            struct lease_story *story = lease_story_find(stories, offset);
            if (story != NULL) {
                end_one(stories, story);
            }
        }
        return;
    }
    for (size_t i = stories->by_offset.count; i > 0; i--) {
        struct lease_story *story = stories->by_offset.entries[i - 1].value;
        if (story->offset >= first && story->offset <= last) {
            end_one(stories, story);
        }
    }
}

void lease_stories_end_all(struct lease_stories *stories)
{
    lease_story_end(stories, 0, INT64_MAX);
}

void lease_story_write_begin(struct lease_stories *stories)
{
    EL_ASSERT(el_list_empty(&stories->writing));
    el_list_splice_back(&stories->writing, &stories->changed);
    EL_LIST_EACH(node, &stories->writing) {
        EL_CONTAINER(node, struct lease_story, link)->stored = true;
    }
}

void lease_story_write_end(struct lease_stories *stories, bool durable)
{
    if (!durable) {
        el_list_splice_back(&stories->changed, &stories->writing);
        return;
    }
    for (struct el_list *node = el_list_pop_front(&stories->writing); node != NULL;
         node = el_list_pop_front(&stories->writing)) {
        struct lease_story *story = EL_CONTAINER(node, struct lease_story, link);
        if (story->ended) {
            story_free(stories, story);
        }
    }
}

/* --- records ------------------------------------------------------------------------------------------------------ */

size_t lease_story_len(const struct lease_story *story)
{
    return el_cbor_head_len(story->count) + story->entries.len;
}

void lease_story_encode(struct el_writer *w, const struct lease_story *story)
{
    EL_ASSERT(story->count > 0);
    el_cbor_write_array(w, story->count);
    el_write_bytes(w, story->entries.data, story->entries.len);
}

int lease_story_restore(struct lease_stories *stories, int64_t offset, struct el_slice value)
{
    struct el_reader r;
    el_reader_init(&r, value.data, value.len);
    uint32_t count = el_cbor_read_array(&r);
    struct el_slice entries = el_slice_of(r.p, el_reader_left(&r));
    bool good = true;
    for (uint32_t i = 0; i < count && r.err == 0; i++) {
        const uint8_t *begin = r.p;
        good = good && el_cbor_read_array(&r) == ATTEMPT_ITEMS;
        for (uint32_t k = 0; k < ATTEMPT_ITEMS && r.err == 0; k++) {
            el_cbor_skip(&r, 0);
        }
        good = good && (size_t)(r.p - begin) <= ATTEMPT_LEN_MAX; /* as it is written: there is room for no more */
    }
    if (!good || r.err != 0 || el_reader_left(&r) != 0 || count == 0 || count > LEASE_STORY_ATTEMPTS_MAX) {
        return EVLOG_ERR_CORRUPT;
    }
    struct lease_story *story = story_new(stories, offset, lease_alloc(stories->ls, sizeof *story));
    if (story == NULL || !lease_copy(stories->ls, entries, &story->entries)) {
        if (story != NULL) {
            story_free(stories, story);
        }
        return EVLOG_ERR_NO_MEMORY;
    }
    story->count = count;
    story->stored = true;
    return 0;
}

void lease_story_keep(struct lease_stories *stories, int64_t offset, struct el_slice history)
{
    if (history.len == 0 || lease_story_find(stories, offset) != NULL ||
        lease_story_restore(stories, offset, history) != 0) {
        return;
    }
    struct lease_story *story = lease_story_find(stories, offset);
    story->stored = false;
    changed(stories, story);
}

void lease_story_last(const struct lease_story *story, struct el_slice *reason, struct el_slice *error)
{
    struct el_reader r;
    *reason = *error = (struct el_slice){0};
    el_reader_init(&r, story->entries.data, story->entries.len);
    for (uint32_t i = 0; i < story->count; i++) {
        struct el_cbor_item items[1 + ATTEMPT_ITEMS];
        for (uint32_t k = 0; k < 1 + ATTEMPT_ITEMS; k++) {
            if (el_cbor_read(&r, &items[k]) != 0) {
                return;
            }
        }
        *reason = items[4].data.data != NULL ? items[4].data : *reason;
        *error = items[5].data.data != NULL ? items[5].data : *error;
    }
}
