/* SPDX-License-Identifier: Apache-2.0
 *
 * What a target refuses for good, after the event that emitted it was decided: its topic was deleted, a stream in it
 * has ended, an id is there already. Nothing of it is lost in silence, and nothing else waits for it.
 *
 *   1. a batch of several events is divided until those that are refused stand alone. The halves take its place in the
 *      record of its bundle, and before later batches of their partition, which may have events of the same keys: those
 *      of a bundle hold up none after a restart, or once the log begins behind them. Each half has a producer of its
 *      own: so each is taken once, whatever becomes of the other
 *   2. what stands alone, or was for a topic that is gone, leaves its target: later batches go on, under another
 *      producer id, because the numbers of this one were not used. All are divided before any of them becomes letters:
 *      those may have to wait until a bundle has ended whose batches wait behind one that is not divided yet
 *   3. it becomes dead letters of the group: again in its place in the record, so that they are stored before they are
 *      appended, and appended once
 *
 * Each step is a write of the record; it leaves out what has been appended. A crash in between begins again with what
 * was stored: the target refuses it once more, or has the events by then.
 *
 * Letters that cannot be appended (bury_target() says why) keep the bundle and the keys of its events waiting, as dead
 * letters of events do. When the part ends nobody could have letters: what stands alone then is lost with its group or
 * topic, counted and logged.
 */
#include <lease/lease_bury.h>
#include <lease/lease_emit.h>

#include <core/base64.h>
#include <core/logger.h>
#include <inttypes.h>
#include <stdio.h>

#define RETRY_NS 100000000u
#define LETTERS_LEN (512u << 10) /* that dead letters of one step add to the record, about */
#define RECORD_SLACK 16u         /* that a record may be longer by in another batch */
#define OWN_HEADERS 10u
#define NUMBER_LEN_MAX 24u
#define REASON "emit-refused"

/* All of its events would be refused. */
static bool is_gone(int error)
{
    return error == EVLOG_ERR_UNKNOWN_TOPIC || error == EVLOG_ERR_UNKNOWN_TOPIC_ID;
}

bool emit_refused_for_good(const struct emit_batch *batch, int error)
{
    if (batch->letters) { /* they have no other place: they wait until theirs takes them */
        return is_gone(error);
    }
    switch (error) {
    case EVLOG_ERR_UNKNOWN_TOPIC:
    case EVLOG_ERR_UNKNOWN_TOPIC_ID:
    case EVLOG_ERR_ID_CONFLICT:
    case EVLOG_ERR_STREAM_ENDED:
    case EVLOG_ERR_WRONG_VERSION:
    case EVLOG_ERR_INVALID_RECORD:
    case EVLOG_ERR_TOO_LARGE:
        return true;
    default:
        return false;
    }
}

static struct lease_part *part_of(const struct emit_bundle *bundle)
{
    return bundle->emitter->part;
}

/* The name of a batch's topic, or its id when that is all that is known; text[EL_UUID_TEXT_LEN + 1]. */
static const char *topic_name(const struct emit_batch *batch, char *text)
{
    const struct el_uuid *id = &batch->target->key.topic_id;
    const struct topic *topic = store_topic_by_id(lease_part_leases(part_of(batch->bundle))->shard, id);
    el_uuid_format(text, id);
    return topic == NULL ? text : topic->name;
}

void emit_batch_refuse(struct emit_batch *batch, int error)
{
    struct emit_target *target = batch->target;
    struct lease_part *part = part_of(batch->bundle);
    struct leases *ls = lease_part_leases(part);
    char text[LEASE_PART_TEXT_MAX], id[EL_UUID_TEXT_LEN + 1];
    EL_ASSERT(batch->refused == 0 && !batch->appended && !batch->appending);
    metrics_add(ls->metrics, METRIC_LEASE_EMITS_FAILED, 1);
    bool alone = batch->op.info.record_count == 1 || is_gone(error);
    struct lease_emitter *emitter = batch->bundle->emitter;
    if (alone && (emitter->refused_ns == 0 || ls->io->now_ns - emitter->refused_ns >= LEASE_MINUTE_NS)) {
        emitter->refused_ns = ls->io->now_ns;
        el_log(EL_LOG_WARN, "lease", "%s: %s %d refuses for good what was emitted to it, it becomes a dead letter: %s",
               lease_part_text(part, text, sizeof text), topic_name(batch, id), target->key.partition,
               evlog_error_text(error));
    }
    batch->refused = error;
    batch->bundle->refused_count++;
    if (alone) {
        el_list_remove(&batch->link);
    }
    el_list_remove(&batch->pending_link); /* its number was not taken: later ones push nothing out */
    if (target->producer_id == batch->op.info.producer_id) {
        target->producer_id = -1; /* the next numbers would not follow */
    }
}

/* --- what is in a batch ------------------------------------------------------------------------------------------- */

static struct el_slice bytes_of(const struct emit_batch *batch)
{
    return el_slice_of(batch->bundle->value + batch->pos, batch->op.info.len);
}

static void open_batch(const struct emit_batch *batch, struct el_batch_iter *iter)
{
    int code = el_batch_open(iter, bytes_of(batch).data, batch->op.info.len, NULL, 0);
    EL_ASSERT(code == 0); /* it was built here, or checked when it was read */
}

static bool is_letter(const struct el_record *record)
{
    struct el_slice value;
    return el_header_find(record, LEASE_LETTER_EMIT_TOPIC, &value);
}

bool emit_batch_is_letters(const struct emit_batch *batch)
{
    struct el_batch_iter iter;
    struct el_batch_record record;
    open_batch(batch, &iter);
    return el_batch_next(&iter, &record) == 1 && is_letter(&record.record);
}

static uint32_t headers_max(const struct emit_batch *batch)
{
    struct el_batch_iter iter;
    struct el_batch_record record;
    uint32_t most = 0;
    open_batch(batch, &iter);
    while (el_batch_next(&iter, &record) == 1) {
        most = EL_MAX(most, (uint32_t)record.record.header_count);
    }
    return most;
}

/* --- letters ------------------------------------------------------------------------------------------------------ */

/* What all letters of a step say. */
struct story {
    const struct emit_bundle *bundle;
    struct el_slice topic; /* of the source; owned by the catalogue */
    const char *target, *error;
    int32_t target_partition;
    int64_t now_ms;
    char id_begin[LEASE_GROUP_ID_LEN_MAX + EL_TOPIC_NAME_MAX + NUMBER_LEN_MAX]; /* of ids that libevlog gives */
    char partition[NUMBER_LEN_MAX], to_partition[NUMBER_LEN_MAX];
    char target_id[EL_UUID_TEXT_LEN + 1];
};

static void story_begin(struct story *story, const struct emit_batch *batch)
{
    const struct lease_part *part = part_of(batch->bundle);
    struct leases *ls = lease_part_leases(part);
    const struct topic *source = store_topic_by_id(ls->shard, &part->key.topic_id);
    story->bundle = batch->bundle;
    story->topic = source == NULL ? el_slice_str("") : el_slice_of(source->name, source->name_len);
    story->target = topic_name(batch, story->target_id);
    story->error = evlog_error_text(batch->refused);
    story->now_ms = lease_wall_ms(ls);
    snprintf(story->partition, sizeof story->partition, "%d", part->key.partition);
    snprintf(story->to_partition, sizeof story->to_partition, "%d", batch->target->key.partition);
    snprintf(story->id_begin, sizeof story->id_begin, "%.*s/%.*s/%d/", (int)part->group->id.len,
             (const char *)part->group->id.data, (int)story->topic.len, (const char *)story->topic.data,
             part->key.partition);
}

/* Bytes that its headers add to an event, at most. */
static size_t story_len(const struct story *story)
{
    static const char names[] = LEASE_LETTER_PREFIX
        "topic" LEASE_LETTER_PREFIX "partition" LEASE_LETTER_PREFIX "offset" LEASE_LETTER_PREFIX
        "timestamp" LEASE_LETTER_PREFIX "group" LEASE_LETTER_PREFIX "reason" LEASE_LETTER_PREFIX
        "error" LEASE_LETTER_EMIT_TOPIC LEASE_LETTER_PREFIX "emit-partition" LEASE_LETTER_PREFIX "offset-last";
    size_t group_len = part_of(story->bundle)->group->id.len;
    return sizeof names + OWN_HEADERS * 10u + story->topic.len + group_len + sizeof REASON + strlen(story->error) +
           strlen(story->target) + 5u * NUMBER_LEN_MAX;
}

/* The event that has emitted it: the only one of the bundle, or what the id says that libevlog has given. -1: one of
 * the bundle's; its header evlog-causation-id may say which. */
static int64_t source_of(const struct story *story, const struct el_record *record)
{
    const struct emit_bundle *bundle = story->bundle;
    struct el_slice id;
    size_t begin = strlen(story->id_begin);
    int64_t offset = 0;
    if (bundle->event_count == 1) {
        return bundle->offsets[0];
    }
    if (!el_header_find(record, "ce_id", &id) || id.len < begin || memcmp(id.data, story->id_begin, begin) != 0) {
        return -1;
    }
    for (size_t i = begin; i < id.len && id.data[i] != '/'; i++) {
        if (id.data[i] < '0' || id.data[i] > '9' || offset > INT64_MAX / 10 - 10) {
            return -1;
        }
        offset = offset * 10 + (id.data[i] - '0');
    }
    return emit_bundle_find(bundle, offset) < bundle->event_count ? offset : -1;
}

static bool is_old(struct el_slice name)
{
    static const char prefix[] = LEASE_LETTER_PREFIX;
    return name.len >= sizeof prefix - 1 && memcmp(name.data, prefix, sizeof prefix - 1) == 0;
}

static void add_letter(struct el_batch_builder *builder, const struct story *story,
                       const struct el_batch_record *record, struct el_header *headers)
{
    char offset[NUMBER_LEN_MAX], last[NUMBER_LEN_MAX], timestamp[NUMBER_LEN_MAX];
    const struct emit_bundle *bundle = story->bundle;
    int64_t source = source_of(story, &record->record);
    struct el_reader old = record->record.headers;
    size_t count = 0;
    for (struct el_header header; el_header_next(&old, &header);) {
        if (!is_old(header.key)) {
            headers[count++] = header;
        }
    }
    snprintf(offset, sizeof offset, "%" PRId64, source < 0 ? bundle->offsets[0] : source);
    snprintf(last, sizeof last, "%" PRId64, bundle->offsets[bundle->event_count - 1]);
    snprintf(timestamp, sizeof timestamp, "%" PRId64, record->timestamp_ms);
    const struct {
        const char *name;
        struct el_slice value;
    } own[] = {
        {LEASE_LETTER_PREFIX "topic", story->topic},
        {LEASE_LETTER_PREFIX "partition", el_slice_str(story->partition)},
        {LEASE_LETTER_PREFIX "offset", el_slice_str(offset)},
        {LEASE_LETTER_PREFIX "offset-last", source < 0 ? el_slice_str(last) : (struct el_slice){0}},
        {LEASE_LETTER_PREFIX "timestamp", el_slice_str(timestamp)},
        {LEASE_LETTER_PREFIX "group", part_of(bundle)->group->id},
        {LEASE_LETTER_PREFIX "reason", el_slice_str(REASON)},
        {LEASE_LETTER_PREFIX "error", el_slice_str(story->error)},
        {LEASE_LETTER_EMIT_TOPIC, el_slice_str(story->target)},
        {LEASE_LETTER_PREFIX "emit-partition", el_slice_str(story->to_partition)},
    };
    EL_STATIC_ASSERT(sizeof own / sizeof own[0] <= OWN_HEADERS, "there is room for them");
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (own[i].value.data != NULL) {
            headers[count++] = (struct el_header){el_slice_str(own[i].name), own[i].value};
        }
    }
    struct el_record_body body = {
        .key = record->record.key, .value = record->record.value, .headers = headers, .header_count = count};
    int code = el_batch_builder_add(builder, story->now_ms, &body);
    EL_ASSERT(code == 0); /* first_len has counted it */
}

static void add_as_is(struct el_batch_builder *builder, const struct el_batch_record *record, struct el_header *headers)
{
    struct el_record_body body = {.key = record->record.key, .value = record->record.value, .headers = headers};
    struct el_reader r = record->record.headers;
    while (el_header_next(&r, &headers[body.header_count])) {
        body.header_count++;
    }
    int code = el_batch_builder_add(builder, record->timestamp_ms, &body);
    EL_ASSERT(code == 0);
}

/* --- a step ------------------------------------------------------------------------------------------------------- */

/* One refused batch becomes one or two others. */
struct step {
    struct emit_batch *batch;
    bool letters; /* the first of them is */
    struct story story;
    struct emit_target *target; /* of the first */
    int32_t first_count;        /* its records; the others are the second's */
    size_t first_len, rest_len; /* bytes at most */
    struct el_header *headers;
    uint32_t kept; /* other batches that are not appended */
};

static void later(struct lease_emitter *emitter)
{
    emitter->retry_ns = lease_part_leases(emitter->part)->io->now_ns + RETRY_NS;
}

/* What the step does to the first refused batch that later ones of its partition wait for, else to the first one. */
static void step_choose(struct emit_bundle *bundle, struct step *step)
{
    *step = (struct step){0};
    for (uint32_t i = 0; i < bundle->batch_count; i++) {
        struct emit_batch *batch = &bundle->batches[i];
        bool waited_for = step->batch != NULL && el_list_empty(&step->batch->link) && !el_list_empty(&batch->link);
        step->batch = batch->refused != 0 && (step->batch == NULL || waited_for) ? batch : step->batch;
        step->kept += !batch->appended;
    }
    EL_ASSERT(step->batch != NULL);
    step->kept--;
    const struct el_batch_info *info = &step->batch->op.info;
    size_t len = info->len + (size_t)info->record_count * RECORD_SLACK;
    step->letters = step->batch->letters || info->record_count == 1 || is_gone(step->batch->refused) ||
                    el_list_empty(&step->batch->link) || step->kept + 2 > LEASE_EMITS_BATCHES_MAX;
    step->first_count = (info->record_count + 1) / 2;
    step->first_len = step->rest_len = len;
    if (step->letters) {
        story_begin(&step->story, step->batch);
        int32_t most = (int32_t)EL_MAX(LETTERS_LEN / story_len(&step->story), (size_t)1);
        bool whole = step->batch->letters || step->kept + 2 > LEASE_EMITS_BATCHES_MAX;
        step->first_count = whole ? info->record_count : EL_MIN(info->record_count, most);
        step->first_len += (size_t)step->first_count * story_len(&step->story);
    }
}

/* Where the first goes, and producers that nobody has used. returns false: not now */
static bool step_target(struct emit_bundle *bundle, struct step *step)
{
    struct lease_emitter *emitter = bundle->emitter;
    struct emit_target *own = step->batch->target;
    if (step->letters) {
        el_list_remove(&step->batch->link); /* also when it could not be divided: later ones go on */
        struct lease_burial *burial = bury_of(emitter->part);
        struct bury_target to;
        if (burial == NULL) {
            later(emitter);
            return false;
        }
        if (!bury_target(burial, &to)) {
            return false;
        }
        step->target = emit_target_get(emitter, &to.topic_id, to.partition);
        if (step->target == NULL) {
            later(emitter);
            return false;
        }
        return !emit_target_full(step->target, bundle) && emit_target_ready(emitter, step->target);
    }
    step->target = own;
    own->producer_id = own->next_sequence == 0 ? own->producer_id : -1;
    if (!emit_target_ready(emitter, own)) {
        return false;
    }
    if (emitter->spare_id < 0) {
        int64_t first = own->producer_id;
        own->producer_id = -1;
        bool second = emit_target_ready(emitter, own); /* which takes the spare one */
        emitter->spare_id = second ? own->producer_id : -1;
        own->producer_id = first;
    }
    return emitter->spare_id >= 0;
}

/* A batch behind the others; its records are the next `count` of the refused one. */
static void put_batch(struct emit_bundle *bundle, struct emit_batch *batch, struct emit_target *target,
                      const struct step *step, struct el_batch_iter *iter, int32_t count, size_t len,
                      const struct el_batch_origin *origin, struct el_writer *w)
{
    struct el_batch_builder builder;
    struct el_batch_record record;
    struct el_slice bytes;
    bool story = batch->letters && !step->batch->letters;
    EL_ASSERT(w->p + LEASE_EMITS_BATCH_HEAD_LEN + len <= w->end);
    el_batch_builder_init_fixed(&builder, w->p + LEASE_EMITS_BATCH_HEAD_LEN, len);
    for (int32_t i = 0; i < count; i++) {
        int more = el_batch_next(iter, &record);
        EL_ASSERT(more == 1);
        if (story) {
            add_letter(&builder, &step->story, &record, step->headers);
        } else {
            add_as_is(&builder, &record, step->headers);
        }
    }
    int code = el_batch_builder_finish(&builder, EL_CODEC_NONE, origin, &bytes);
    EL_ASSERT(code == 0);
    lease_record_emits_batch_head(w, &target->key.topic_id, target->key.partition, (uint32_t)bytes.len);
    batch->pos = (uint32_t)(w->p - bundle->value);
    w->p += bytes.len;
    code = el_batch_check(bytes.data, bytes.len, EL_BATCH_LEN_MAX, NULL, 0, &batch->op.info);
    EL_ASSERT(code == 0);
}

/* Another one that is not appended goes along as it is. */
static void keep_batch(struct emit_bundle *bundle, struct emit_batch *to, struct emit_batch *from, struct el_writer *w)
{
    struct el_slice bytes = bytes_of(from);
    lease_record_emits_batch_head(w, &from->target->key.topic_id, from->target->key.partition, (uint32_t)bytes.len);
    to->pos = (uint32_t)(w->p - bundle->value);
    el_write_bytes(w, bytes.data, bytes.len);
    to->target = from->target;
    to->given = from->given;
    to->renumber = from->renumber;
    to->letters = from->letters;
    to->refused = from->refused;
    to->op.info = from->op.info;
    bundle->refused_count += from->refused != 0;
    if (!el_list_empty(&from->link)) {
        el_list_push_back(&from->link, &to->link);
    }
    if (!el_list_empty(&from->pending_link)) {
        el_list_push_back(&from->pending_link, &to->pending_link);
    }
}

/* The first batch of the step, and the second. */
static void put_first(struct emit_bundle *bundle, struct emit_batch *batch, const struct step *step,
                      struct el_batch_iter *iter, struct el_writer *w)
{
    struct emit_target *target = step->target;
    struct el_batch_origin origin = {.producer_id = target->producer_id, .base_sequence = target->next_sequence};
    batch->letters = step->letters;
    put_batch(bundle, batch, target, step, iter, step->first_count, step->first_len, &origin, w);
    target->next_sequence = el_sequence_add(target->next_sequence, step->first_count);
    emit_target_add(target, batch, step->letters ? &target->batches : &step->batch->link);
}

static void put_rest(struct emit_bundle *bundle, struct emit_batch *batch, const struct step *step,
                     struct el_batch_iter *iter, struct el_writer *w)
{
    const struct emit_batch *old = step->batch;
    struct emit_target *target = old->target;
    int32_t count = old->op.info.record_count - step->first_count;
    struct el_batch_origin origin = {.producer_id = old->op.info.producer_id,
                                     .base_sequence = old->op.info.base_sequence};
    if (step->letters) { /* the next steps make letters of them: it is not appended */
        put_batch(bundle, batch, target, step, iter, count, step->rest_len, &origin, w);
        batch->target = target;
        batch->refused = old->refused;
        bundle->refused_count++;
        return;
    }
    target->producer_id = bundle->emitter->spare_id;
    target->next_sequence = 0;
    bundle->emitter->spare_id = -1;
    origin = (struct el_batch_origin){.producer_id = target->producer_id};
    put_batch(bundle, batch, target, step, iter, count, step->rest_len, &origin, w);
    target->next_sequence = count;
    emit_target_add(target, batch, &step->batch->link);
}

static size_t room_of(const struct emit_bundle *bundle, const struct step *step)
{
    size_t room = LEASE_EMITS_HEAD_LEN + bundle->event_count * sizeof(int64_t) + step->first_len + step->rest_len +
                  2u * (LEASE_EMITS_BATCH_HEAD_LEN + EL_BATCH_HEADER_LEN);
    for (uint32_t i = 0; i < bundle->batch_count; i++) {
        const struct emit_batch *batch = &bundle->batches[i];
        room += batch->appended || batch == step->batch ? 0u : LEASE_EMITS_BATCH_HEAD_LEN + batch->op.info.len;
    }
    return room;
}

static void write_step(struct emit_bundle *bundle, struct emit_bundle *old, struct step *step, size_t room)
{
    struct el_writer w;
    struct el_batch_iter iter;
    uint32_t n = 0;
    el_writer_init(&w, bundle->value, room);
    memcpy(bundle->offsets, old->offsets, old->event_count * sizeof(int64_t));
    bundle->event_count = old->event_count;
    bundle->place = old->place;
    lease_record_emits_begin(&w, bundle->place, bundle->batch_count, bundle->offsets, bundle->event_count);
    for (uint32_t i = 0; i < old->batch_count; i++) {
        struct emit_batch *batch = &old->batches[i];
        if (batch != step->batch && !batch->appended) {
            keep_batch(bundle, &bundle->batches[n++], batch, &w);
            continue;
        }
        if (batch == step->batch) {
            open_batch(batch, &iter);
            put_first(bundle, &bundle->batches[n++], step, &iter, &w);
            if (step->first_count < batch->op.info.record_count) {
                put_rest(bundle, &bundle->batches[n++], step, &iter, &w);
            }
        }
    }
    EL_ASSERT(w.err == 0);
    EL_ASSERT(n == bundle->batch_count);
    bundle->value_len = (uint32_t)el_writer_len(&w);
    bundle->number = old->number;
    bundle->restored = old->restored;
    bundle->stored = true; /* as it was before */
    bundle->state = EMIT_BUILT;
}

/* The bundle with the step done, in its place. returns false without memory */
static bool step_do(struct emit_bundle *old, struct step *step)
{
    struct lease_emitter *emitter = old->emitter;
    struct leases *ls = lease_part_leases(emitter->part);
    size_t room = room_of(old, step);
    bool two = step->first_count < step->batch->op.info.record_count;
    uint8_t *value = lease_alloc(ls, room);
    step->headers = lease_alloc(ls, (headers_max(step->batch) + OWN_HEADERS + 1u) * sizeof(struct el_header));
    struct emit_bundle *bundle = value == NULL || step->headers == NULL
                                     ? NULL
                                     : emit_bundle_new_at(emitter, &old->link, old->event_count, 0,
                                                          step->kept + 1u + two);
    if (bundle != NULL) {
        bundle->value = value;
        bundle->charged = (uint32_t)room;
        ls->emit_bytes += room;
        write_step(bundle, old, step, room);
        emit_bundle_free(old);
    } else {
        lease_free(ls, value);
    }
    lease_free(ls, step->headers);
    return bundle != NULL;
}

/* --- the turn ----------------------------------------------------------------------------------------------------- */

/* The part ends, and with it who could have letters. */
static void lose(struct emit_batch *batch)
{
    struct lease_part *part = part_of(batch->bundle);
    struct leases *ls = lease_part_leases(part);
    char text[LEASE_PART_TEXT_MAX], id[EL_UUID_TEXT_LEN + 1];
    metrics_add(ls->metrics, METRIC_LEASE_EMITS_LOST, batch->op.info.record_count);
    if (lease_may_log(ls)) {
        el_log(EL_LOG_WARN, "lease", "%s: %d events that %s %d has refused are lost with their group or topic: %s",
               lease_part_text(part, text, sizeof text), batch->op.info.record_count, topic_name(batch, id),
               batch->target->key.partition, evlog_error_text(batch->refused));
    }
    batch->refused = 0;
    batch->bundle->refused_count--;
    emit_batch_end(batch);
}

void emit_refuse_turn(struct emit_bundle *bundle)
{
    struct lease_emitter *emitter = bundle->emitter;
    struct lease_part *part = emitter->part;
    struct step step;
    bool ends = part->sm.state == PART_ENDING;
    EL_ASSERT(bundle->state == EMIT_INTENDED && bundle->refused_count > 0);
    if ((part->sm.state != PART_READY && !ends) || emitter->retry_ns > lease_part_leases(part)->io->now_ns) {
        return;
    }
    for (uint32_t i = 0; i < bundle->batch_count; i++) {
        if (bundle->batches[i].appending) {
            return;
        }
    }
    step_choose(bundle, &step);
    while (ends && step.letters) {
        lose(step.batch);
        if (bundle->refused_count == 0) {
            return;
        }
        step_choose(bundle, &step);
    }
    if (step_target(bundle, &step) && !step_do(bundle, &step)) {
        later(emitter);
    }
}

uint64_t emit_refuse_next(const struct lease_emitter *emitter)
{
    const struct lease_burial *burial = emitter->part->burial;
    uint64_t now = lease_part_leases(emitter->part)->io->now_ns;
    if (burial == NULL || burial->retry_ns <= now) {
        return UINT64_MAX;
    }
    EL_LIST_EACH(node, &emitter->bundles) {
        if (EL_CONTAINER(node, struct emit_bundle, link)->refused_count > 0) {
            return burial->retry_ns;
        }
    }
    return UINT64_MAX;
}

void emit_refuse_why(const struct emit_batch *batch, char *text, size_t text_len)
{
    const struct lease_burial *burial = part_of(batch->bundle)->burial;
    char id[EL_UUID_TEXT_LEN + 1];
    snprintf(text, text_len, "%s %d refuses for good what is emitted to it (%s), and its dead letter waits%s%s",
             topic_name(batch, id), batch->target->key.partition, evlog_error_text(batch->refused),
             burial == NULL || burial->why[0] == 0 ? "" : ": ", burial == NULL ? "" : burial->why);
}
