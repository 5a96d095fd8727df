/* SPDX-License-Identifier: Apache-2.0
 *
 * See stream_span.h. Stages, each of which may wait for an answer:
 *
 *   CUT      as of a time: where the log ended then, exactly (store_cut)
 *   AGE      a maximum age: the first offset that is young enough (store_lookup)
 *   STATE    what the stream is at; when nothing is cut off, its places are the answer already
 *   UPPER    the last version below the cut, by bisection: offsets rise with versions
 *   TOMB     which of these had been deleted by then
 *   LOWER    the first version that is young enough, the same way, and that the log still has
 *   PLACES   where the events are
 */
#include <api/stream_span.h>

enum stage { CUT, AGE, STATE, UPPER, TOMB, LOWER, PLACES, DONE };

#define NS_PER_MS 1000000

static void span_go(struct stream_span *s);

static void step_end(struct stream_span *s, int error)
{
    EL_ASSERT(s->waiting);
    s->waiting = false;
    if (error != 0) {
        s->error = error;
        s->stage = DONE;
    }
    if (!s->looping) {
        span_go(s);
    }
}

/* --- bounds of offsets -------------------------------------------------------------------------------------------- */

static void span_on_cut(struct store_op *op)
{
    struct stream_span *s = op->arg;
    s->offset_below = s->cut_result.end_offset;
    s->offset_from = s->cut_result.log_start_offset;
    step_end(s, op->error != 0 ? op->error : s->cut_result.error);
}

static void cut_start(struct stream_span *s)
{
    s->stage = AGE;
    s->offset_below = INT64_MAX;
    if (s->as_of_ns == 0) {
        return;
    }
    s->cut_result = (struct cut_result){.topic_id = s->target->topic_id, .partition = s->partition};
    s->cut.time_ns = s->as_of_ns;
    s->cut.results = &s->cut_result;
    s->cut.result_count = 1;
    s->cut.base.done = span_on_cut;
    s->cut.base.arg = s;
    s->waiting = true;
    store_cut(s->api->shard, &s->cut);
}

static void span_on_age(struct store_op *op)
{
    struct stream_span *s = op->arg;
    s->offset_from = s->age.offset < 0 ? INT64_MAX : EL_MAX(s->offset_from, s->age.offset); /* none is young enough */
    step_end(s, op->error);
}

static void age_start(struct stream_span *s)
{
    uint64_t now_ns = io_wall(s->api->io);
    uint64_t age_ms = (uint64_t)s->target->max_age_ms;
    s->stage = STATE;
    if (s->target->max_age_ms < 0 || age_ms >= now_ns / NS_PER_MS) {
        return;
    }
    s->age.topic_id = s->target->topic_id;
    s->age.partition = s->partition;
    s->age.by_append_time = true;
    s->age.timestamp = (int64_t)(now_ns - age_ms * NS_PER_MS);
    s->age.current_leader_epoch = -1;
    s->age.base.done = span_on_age;
    s->age.base.arg = s;
    s->waiting = true;
    store_lookup(s->api->shard, &s->age);
}

/* --- the stream --------------------------------------------------------------------------------------------------- */

static void find_submit(struct stream_span *s, struct stream_find_op *op, bool of_tombs,
                        void (*done)(struct store_op *op))
{
    op->topic_id = s->target->topic_id;
    op->partition = s->partition;
    op->hash = stream_hash_key(streams_secret(s->api->streams), s->key);
    op->hash = of_tombs ? stream_hash_deleted(op->hash) : op->hash;
    op->base.done = done;
    op->base.arg = s;
    s->waiting = true;
    streams_find(s->api->streams, op);
}

static void places_ask(struct stream_span *s, int64_t from, void (*done)(struct store_op *op))
{
    if (s->held) {
        streams_find_release(s->api->streams, &s->find);
    }
    s->find = (struct stream_find_op){
        .raw = s->cut_off, .backward = s->backward, .from = from, .count_max = s->count_max};
    s->held = true;
    find_submit(s, &s->find, false, done);
}

/* What was asked for, within what can be seen. */
static void range_set(struct stream_span *s)
{
    if (s->backward) {
        s->start = s->from < 0 ? s->last_version : EL_MIN(s->from, s->last_version);
        s->stop = EL_MAX(s->to, s->first_version);
    } else {
        s->start = EL_MAX(s->from, s->first_version);
        s->stop = s->to < 0 ? s->last_version : EL_MIN(s->to, s->last_version);
    }
}

/* The part of the places that lies within start .. stop. */
static void places_trim(struct stream_span *s)
{
    const struct stream_find_op *find = &s->find;
    int64_t low = s->backward ? s->stop : s->start, high = s->backward ? s->start : s->stop;
    EL_ASSERT(find->count <= s->count_max);
    s->first = s->count = 0;
    while (s->first < find->count && (find->places[s->first].version < low || find->places[s->first].version > high)) {
        s->first++;
    }
    while (s->first + s->count < find->count && find->places[s->first + s->count].version >= low &&
           find->places[s->first + s->count].version <= high) {
        s->count++;
    }
}

static void span_on_state(struct store_op *op)
{
    struct stream_span *s = op->arg;
    const struct stream_find_op *find = &s->find;
    if (op->error == 0) {
        s->first_version = find->first_version;
        s->last_version = find->last_version;
        s->last_offset = find->last_offset;
        s->deleted = find->deleted;
        s->ended = find->ended;
        s->end_offset = EL_MIN(find->end_offset, s->offset_below);
    }
    s->stage = UPPER;
    step_end(s, op->error);
}

static void span_on_places(struct store_op *op)
{
    struct stream_span *s = op->arg;
    if (op->error == 0) {
        places_trim(s);
    }
    s->stage = DONE;
    step_end(s, op->error);
}

static void places_start(struct stream_span *s)
{
    range_set(s);
    places_trim(s);
    if (stream_span_empty(s) || (s->count > 0 && s->find.places[s->first].version == s->start)) {
        s->stage = DONE;
        return;
    }
    places_ask(s, s->start, span_on_places);
}

/* --- what had been deleted then ----------------------------------------------------------------------------------- */

static void span_on_tomb(struct store_op *op)
{
    struct stream_span *s = op->arg;
    int64_t tomb = s->probe_find.count > 0 ? s->probe_find.places[0].version : -1;
    int error = op->error;
    int64_t count_max = topic_config_int(&s->target->config, &s->api->node->topic_defaults, TOPIC_STREAM_MAX_COUNT);
    streams_find_release(s->api->streams, &s->probe_find);
    s->first_version = tomb + 1;
    if (count_max >= 0 && count_max <= s->last_version) {
        s->first_version = EL_MAX(s->first_version, s->last_version + 1 - count_max);
    }
    s->deleted = tomb >= 0 && tomb == s->last_version;
    s->ended = false; /* that would be the last of all versions, and was cut off */
    s->stage = LOWER;
    step_end(s, error);
}

static void tomb_start(struct stream_span *s)
{
    if (!s->cut_off || s->last_version < 0) {
        s->first_version = s->cut_off ? 0 : s->first_version;
        s->deleted = s->deleted && !s->cut_off;
        s->ended = s->ended && !s->cut_off;
        s->stage = LOWER;
        return;
    }
    s->probe_find = (struct stream_find_op){.raw = true, .backward = true, .from = s->last_version, .count_max = 1};
    find_submit(s, &s->probe_find, true, span_on_tomb);
}

/* --- the first version at or above an offset ---------------------------------------------------------------------- */

static void span_on_probe(struct store_op *op)
{
    struct stream_span *s = op->arg;
    const struct stream_find_op *find = &s->probe_find;
    EL_ASSERT(find->count <= 1);
    int error = op->error;
    bool gone = find->count == 0 || find->places[0].version != s->probe; /* below the start of the log */
    if (gone || find->places[0].offset < s->sought) {
        s->low = s->probe + 1;
        s->low_offset = gone ? s->low_offset : find->places[0].offset;
    } else {
        s->high = s->probe;
    }
    streams_find_release(s->api->streams, &s->probe_find);
    step_end(s, error);
}

/* returns true when low is the answer */
static bool bisect(struct stream_span *s)
{
    if (s->low >= s->high) {
        return true;
    }
    s->probe = s->low + (s->high - s->low) / 2;
    EL_ASSERT(s->probe >= s->low);
    EL_ASSERT(s->probe < s->high); /* the range gets smaller, whatever is found */
    s->probe_find = (struct stream_find_op){.raw = true, .backward = true, .from = s->probe, .count_max = 1};
    find_submit(s, &s->probe_find, false, span_on_probe);
    return false;
}

static void bisect_begin(struct stream_span *s, int64_t low, int64_t sought)
{
    s->low = low;
    s->high = EL_MAX(s->last_version + 1, low);
    s->sought = sought;
    s->low_offset = -1;
}

static void upper_step(struct stream_span *s)
{
    bool cut = s->last_offset >= s->offset_below;
    if (cut && s->sought != s->offset_below) {
        bisect_begin(s, 0, s->offset_below);
    }
    if (cut && !bisect(s)) {
        return;
    }
    if (cut) {
        s->last_version = s->low - 1;
        s->last_offset = s->low_offset;
        s->cut_off = true;
    }
    s->stage = TOMB;
    s->sought = -1;
}

static void lower_step(struct stream_span *s)
{
    bool cut = s->offset_from > 0 && s->first_version <= s->last_version;
    if (cut && s->sought != s->offset_from) {
        bisect_begin(s, s->first_version, s->offset_from);
    }
    if (cut && !bisect(s)) {
        return;
    }
    if (cut) {
        s->first_version = s->low;
    }
    s->stage = PLACES;
}

/* --- the loop ----------------------------------------------------------------------------------------------------- */

static void span_turn(struct stream_span *s)
{
    switch ((enum stage)s->stage) {
    case CUT:
        cut_start(s);
        break;
    case AGE:
        age_start(s);
        break;
    case STATE:
        places_ask(s, s->from, span_on_state);
        break;
    case UPPER:
        upper_step(s);
        break;
    case TOMB:
        tomb_start(s);
        break;
    case LOWER:
        lower_step(s);
        break;
    case PLACES:
        places_start(s);
        break;
    case DONE:
        break;
    }
}

static void span_go(struct stream_span *s)
{
    EL_ASSERT(!s->looping);
    s->looping = true;
    while (!s->waiting && s->stage != DONE) {
        span_turn(s);
    }
    s->looping = false;
    if (!s->waiting) {
        s->finish(s, s->error);
    }
}

void stream_span_start(struct stream_span *s)
{
    EL_ASSERT(s->count_max >= 1);
    EL_ASSERT(s->count_max <= STREAM_FIND_MAX);
    s->last_version = s->last_offset = s->sought = -1;
    span_go(s);
}

void stream_span_release(struct stream_span *s)
{
    if (s->held) {
        streams_find_release(s->api->streams, &s->find);
        s->held = false;
    }
}
