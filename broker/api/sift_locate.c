/* SPDX-License-Identifier: Apache-2.0
 *
 * The next place of a sieve by the stream index.
 *
 * Of types the index is asked by offset, one type after the other, and the first place of all counts. Of a key it is
 * asked by version, which rise with offsets: where it is known which version comes next, that one is looked at;
 * else the newest few; else the version is searched for by halves. All versions count, also deleted ones, for a
 * subscriber sees the log.
 *
 * Whatever fails here, reading finds it too: then the index is left alone for the rest of the answer.
 */
#include <api/sift.h>

#define NEWEST_COUNT 16u

static void ask(struct sift *sift, void (*done)(struct store_op *op), int64_t from, uint32_t count_max)
{
    EL_ASSERT(sift->waiting);
    EL_ASSERT(sift->hash_turn < sift->hash_count);
    sift->find = (struct stream_find_op){
        .base = {.done = done, .arg = sift},
        .topic_id = sift->read->topic_id,
        .partition = sift->read->partition,
        .hash = sift->hashes[sift->hash_turn],
        .of_type = sift->index == SIFT_BY_TYPE,
        .raw = sift->index == SIFT_BY_KEY,
        .backward = from < 0,
        .from = from,
        .count_max = count_max,
    };
    streams_find(sift->api->streams, &sift->find);
}

static void give_up(struct sift *sift)
{
    streams_find_release(sift->api->streams, &sift->find);
    sift->index = SIFT_BY_READING;
    sift->next_version = -1;
    sift_go_on(sift);
}

/* The next record is at this offset, or, -1, there is none below the end. */
static void found(struct sift *sift, int64_t place, int64_t end_offset, int64_t version)
{
    streams_find_release(sift->api->streams, &sift->find);
    EL_ASSERT(place < 0 || place >= sift->next);
    sift->located = true;
    sift->place = place;
    if (place < 0) {
        sift->next = EL_MAX(sift->next, end_offset);
    }
    sift->next_version = version;
    sift->version = sift->version < 0 ? version : sift->version;
    sift_go_on(sift);
}

/* --- a key -------------------------------------------------------------------------------------------------------- */

static void halve(struct sift *sift);

static void on_half(struct store_op *op)
{
    struct sift *sift = op->arg;
    int64_t middle = sift->find.from;
    if (op->error != 0) {
        give_up(sift);
        return;
    }
    EL_ASSERT(middle >= sift->low);
    EL_ASSERT(middle < sift->high); /* each turn halves the rest */
    const struct stream_place *place = sift->find.count == 1 ? &sift->find.places[0] : NULL;
    bool behind = place != NULL && place->version == middle && place->offset >= sift->next;
    if (behind) {
        sift->high = middle;
        sift->high_offset = place->offset;
    } else {
        sift->low = middle + 1; /* before it, or trimmed away: then the place is one of a later version */
    }
    if (sift->low >= sift->high) {
        found(sift, sift->high_offset, -1, sift->high);
        return;
    }
    streams_find_release(sift->api->streams, &sift->find);
    halve(sift);
}

static void halve(struct sift *sift)
{
    ask(sift, on_half, sift->low + (sift->high - sift->low) / 2, 1);
}

static void on_newest(struct store_op *op)
{
    struct sift *sift = op->arg;
    const struct stream_find_op *find = &sift->find;
    if (op->error != 0) {
        give_up(sift);
        return;
    }
    EL_ASSERT(find->count <= find->count_max);
    uint32_t n = 0; /* places at or above next */
    while (n < find->count && find->places[n].offset >= sift->next) {
        n++;
    }
    if (n == 0) {
        found(sift, -1, find->end_offset, find->last_version + 1);
        return;
    }
    const struct stream_place *first = &find->places[n - 1];
    if (n < find->count_max || first->version == 0) {
        found(sift, first->offset, -1, first->version);
        return;
    }
    sift->low = 0;
    sift->high = first->version;
    sift->high_offset = first->offset;
    streams_find_release(sift->api->streams, &sift->find);
    halve(sift);
}

/* Asked for the version that should come next, and the one before it. */
static void on_next(struct store_op *op)
{
    struct sift *sift = op->arg;
    const struct stream_find_op *find = &sift->find;
    const struct stream_place *places = find->places;
    int64_t version = sift->next_version;
    if (op->error != 0) {
        give_up(sift);
        return;
    }
    EL_ASSERT(find->count <= 2);
    uint32_t before = version > 0 ? 1 : 0;
    bool fits = find->count >= before &&
                (before == 0 || (places[0].version == version - 1 && places[0].offset < sift->next));
    if (fits && find->count == before) {
        found(sift, -1, find->end_offset, version);
    } else if (fits && places[before].version == version && places[before].offset >= sift->next) {
        found(sift, places[before].offset, -1, version);
    } else {
        streams_find_release(sift->api->streams, &sift->find);
        ask(sift, on_newest, -1, NEWEST_COUNT);
    }
}

/* --- types -------------------------------------------------------------------------------------------------------- */

static void on_type(struct store_op *op)
{
    struct sift *sift = op->arg;
    const struct stream_find_op *find = &sift->find;
    if (op->error != 0) {
        give_up(sift);
        return;
    }
    /* low: up to where all that were asked know the log; high: the first place so far */
    sift->low = EL_MIN(sift->low, find->end_offset);
    sift->high = find->count > 0 ? EL_MIN(sift->high, find->places[0].offset) : sift->high;
    if (++sift->hash_turn == sift->hash_count) {
        sift->hash_turn = 0;
        bool there = sift->high < sift->low;
        found(sift, there ? sift->high : -1, sift->low, -1);
        return;
    }
    streams_find_release(sift->api->streams, &sift->find);
    ask(sift, on_type, sift->next, 1);
}

void sift_locate(struct sift *sift)
{
    EL_ASSERT(sift->hash_count > 0);
    EL_ASSERT(!sift->located);
    sift->hash_turn = 0;
    if (sift->index == SIFT_BY_TYPE) {
        sift->low = sift->high = INT64_MAX;
        ask(sift, on_type, sift->next, 1);
    } else if (sift->next_version >= 0) {
        ask(sift, on_next, EL_MAX(sift->next_version - 1, 0), 2);
    } else {
        ask(sift, on_newest, -1, NEWEST_COUNT);
    }
}
