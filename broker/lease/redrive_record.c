/* SPDX-License-Identifier: Apache-2.0
 *
 * A redrive as the value of its record; little-endian.
 *
 *   u8 version 1, u8 action, u8 state, u8 0, u32 rate, i64 began, i64 ended (ms), topic id (16), then texts, each u32
 *   length (0xffffffff: null) and bytes: topic, why, key, reason, pattern; i64 since, i64 until, u32 count of ranges,
 *   each i32 partition, i64 first, i64 last; 9 u64 counts; i32 partition, i64 offset, u32 partitions, i64 end of each;
 *   when the action is to copy: topic id (16) and name (text) of the target, i64 producer id, i64 epoch, i64 next,
 *   u32 partitions of the target, u32 most bytes of a batch, u32 1 when it takes no records without a key, else 0
 */
#include <lease/redrive.h>

#define TEXT_NULL 0xffffffffu
#define COUNTS 9u
#define FIXED_LEN (4u + 4u + 16u + 16u + 5u * 4u + 16u + 4u + COUNTS * 8u + 12u + 4u)
#define RANGE_LEN 20u
#define COPY_LEN (16u + 4u + 24u + 12u) /* and the name */

EL_STATIC_ASSERT(sizeof(struct lease_redrive_counts) == COUNTS * sizeof(uint64_t), "counts are numbers only");

size_t redrive_record_len(const struct redrive *task)
{
    const struct lease_selection *selection = &task->selection;
    return FIXED_LEN + task->topic.len + strlen(task->why) + selection->key.len + selection->reason.len +
           selection->pattern.len + (size_t)selection->range_count * RANGE_LEN + (size_t)task->partition_count * 8u +
           (task->action == LEASE_REDRIVE_COPY ? COPY_LEN + task->copy.topic.len : 0u);
}

static void write_text(struct el_writer *w, struct el_slice text)
{
    el_write_le32(w, text.data == NULL ? TEXT_NULL : (uint32_t)text.len);
    el_write_bytes(w, text.data, text.len);
}

static void counts_out(const struct lease_redrive_counts *counts, uint64_t *out)
{
    memcpy(out, counts, sizeof *counts);
}

static void write_copy(struct el_writer *w, const struct redrive_copy *copy)
{
    el_write_bytes(w, copy->topic_id.bytes, sizeof copy->topic_id.bytes);
    write_text(w, copy->topic);
    el_write_le64(w, (uint64_t)copy->producer_id);
    el_write_le64(w, (uint64_t)copy->epoch);
    el_write_le64(w, (uint64_t)copy->next);
    el_write_le32(w, (uint32_t)copy->target.partition_count);
    el_write_le32(w, copy->target.len_max);
    el_write_le32(w, copy->target.keyed);
}

void redrive_record_encode(struct el_writer *w, const struct redrive *task)
{
    const struct lease_selection *selection = &task->selection;
    uint64_t counts[COUNTS];
    EL_ASSERT(task->state != LEASE_REDRIVE_BEGINNING);
    EL_ASSERT(task->topic.len > 0);
    EL_ASSERT(task->partition <= task->partition_count);
    el_write_u8(w, LEASE_RECORD_VERSION);
    el_write_u8(w, (uint8_t)task->action);
    el_write_u8(w, (uint8_t)task->state);
    el_write_u8(w, 0);
    el_write_le32(w, task->rate);
    el_write_le64(w, (uint64_t)task->began_ms);
    el_write_le64(w, (uint64_t)task->ended_ms);
    el_write_bytes(w, task->topic_id.bytes, sizeof task->topic_id.bytes);
    write_text(w, task->topic);
    write_text(w, el_slice_str(task->why));
    write_text(w, selection->key);
    write_text(w, selection->reason);
    write_text(w, selection->pattern);
    el_write_le64(w, (uint64_t)selection->since_ms);
    el_write_le64(w, (uint64_t)selection->until_ms);
    el_write_le32(w, selection->range_count);
    for (uint32_t i = 0; i < selection->range_count; i++) {
        el_write_le32(w, (uint32_t)selection->ranges[i].partition);
        el_write_le64(w, (uint64_t)selection->ranges[i].first);
        el_write_le64(w, (uint64_t)selection->ranges[i].last);
    }
    counts_out(&task->counts, counts);
    for (uint32_t i = 0; i < COUNTS; i++) {
        el_write_le64(w, counts[i]);
    }
    el_write_le32(w, (uint32_t)task->partition);
    el_write_le64(w, (uint64_t)task->offset);
    el_write_le32(w, (uint32_t)task->partition_count);
    for (int32_t i = 0; i < task->partition_count; i++) {
        el_write_le64(w, (uint64_t)task->ends[i]);
    }
    if (task->action == LEASE_REDRIVE_COPY) {
        write_copy(w, &task->copy);
    }
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* A text as it lies there; too long ones fail the reader. */
static struct el_slice read_text(struct el_reader *r)
{
    uint32_t len = el_read_le32(r);
    if (r->err != 0 || len == TEXT_NULL) {
        return (struct el_slice){0};
    }
    if (len > LEASE_SELECT_TEXT_MAX) {
        el_reader_fail(r, EVLOG_ERR_CORRUPT);
        return (struct el_slice){0};
    }
    return el_slice_of(el_read_bytes(r, len), len);
}

static void read_selection(struct el_reader *r, struct lease_selection *selection)
{
    selection->since_ms = (int64_t)el_read_le64(r);
    selection->until_ms = (int64_t)el_read_le64(r);
    selection->range_count = el_read_le32(r);
    if (selection->range_count > LEASE_SELECT_RANGES_MAX) {
        el_reader_fail(r, EVLOG_ERR_CORRUPT);
        return;
    }
    for (uint32_t i = 0; i < selection->range_count; i++) {
        selection->ranges[i].partition = (int32_t)el_read_le32(r);
        selection->ranges[i].first = (int64_t)el_read_le64(r);
        selection->ranges[i].last = (int64_t)el_read_le64(r);
    }
}

static void read_counts(struct el_reader *r, struct lease_redrive_counts *counts)
{
    uint64_t in[COUNTS];
    for (uint32_t i = 0; i < COUNTS; i++) {
        in[i] = el_read_le64(r);
    }
    memcpy(counts, in, sizeof *counts);
}

static int read_ends(struct redrive *task, struct el_reader *r)
{
    uint32_t count = el_read_le32(r);
    if (r->err != 0 || count > REDRIVE_PARTITIONS_MAX || (uint32_t)task->partition > count ||
        el_reader_left(r) < (size_t)count * 8u) {
        return EVLOG_ERR_CORRUPT;
    }
    task->ends = lease_alloc(task->ls, count * sizeof *task->ends + 1);
    if (task->ends == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    task->partition_count = (int32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        task->ends[i] = (int64_t)el_read_le64(r);
    }
    return 0;
}

static int read_copy(struct redrive *task, struct el_reader *r)
{
    struct redrive_copy *copy = &task->copy;
    const uint8_t *id = el_read_bytes(r, sizeof copy->topic_id.bytes);
    struct el_slice topic = read_text(r);
    copy->producer_id = (int64_t)el_read_le64(r);
    int64_t epoch = (int64_t)el_read_le64(r);
    copy->next = (int64_t)el_read_le64(r);
    copy->target.partition_count = (int32_t)el_read_le32(r);
    copy->target.len_max = el_read_le32(r);
    uint32_t keyed = el_read_le32(r);
    if (r->err != 0 || topic.len == 0 || topic.len > EL_TOPIC_NAME_MAX || copy->producer_id < -1 || epoch < -1 ||
        epoch > INT16_MAX || copy->next < -1 || keyed > 1) {
        return EVLOG_ERR_CORRUPT;
    }
    if (copy->next >= 0 && (copy->producer_id < 0 || epoch < 0 || copy->next < task->offset ||
                            copy->target.partition_count < 1 || copy->target.len_max > EL_BATCH_LEN_MAX)) {
        return EVLOG_ERR_CORRUPT;
    }
    memcpy(copy->topic_id.bytes, id, sizeof copy->topic_id.bytes);
    copy->epoch = (int16_t)epoch;
    copy->target.keyed = keyed == 1;
    return lease_copy(task->ls, topic, &copy->topic) ? 0 : EVLOG_ERR_NO_MEMORY;
}

/* It is what was written of a C string. */
static bool why_fits(const struct redrive *task, struct el_slice why)
{
    return why.data != NULL && why.len < sizeof task->why && memchr(why.data, '\0', why.len) == NULL;
}

int redrive_record_decode(struct redrive *task, struct el_slice value)
{
    struct el_reader r;
    struct lease_selection *selection = &task->selection;
    struct leases *ls = task->ls;
    el_reader_init(&r, value.data, value.len);
    uint8_t version = el_read_u8(&r), action = el_read_u8(&r), state = el_read_u8(&r);
    if (r.err == 0 && version != LEASE_RECORD_VERSION) {
        return EVLOG_ERR_FORMAT;
    }
    el_read_u8(&r);
    task->rate = el_read_le32(&r);
    task->began_ms = (int64_t)el_read_le64(&r);
    task->ended_ms = (int64_t)el_read_le64(&r);
    const uint8_t *id = el_read_bytes(&r, sizeof task->topic_id.bytes);
    if (id == NULL || action > LEASE_REDRIVE_COPY || state < LEASE_REDRIVE_RUNNING || state > LEASE_REDRIVE_FAILED) {
        return EVLOG_ERR_CORRUPT;
    }
    memcpy(task->topic_id.bytes, id, sizeof task->topic_id.bytes);
    task->action = (enum lease_redrive_action)action;
    task->state = (enum lease_redrive_state)state;
    struct el_slice topic = read_text(&r), why = read_text(&r);
    struct el_slice key = read_text(&r), reason = read_text(&r), pattern = read_text(&r);
    read_selection(&r, selection);
    read_counts(&r, &task->counts);
    task->partition = (int32_t)el_read_le32(&r);
    task->offset = (int64_t)el_read_le64(&r);
    if (r.err != 0 || topic.len == 0 || topic.len > EL_TOPIC_NAME_MAX || !why_fits(task, why) || task->partition < 0 ||
        task->offset < 0) {
        return EVLOG_ERR_CORRUPT;
    }
    if (why.len > 0) {
        memcpy(task->why, why.data, why.len);
    }
    if (!lease_copy(ls, topic, &task->topic) || !lease_copy(ls, key, &selection->key) ||
        !lease_copy(ls, reason, &selection->reason) || !lease_copy(ls, pattern, &selection->pattern)) {
        return EVLOG_ERR_NO_MEMORY;
    }
    int code = read_ends(task, &r);
    if (code == 0 && action == LEASE_REDRIVE_COPY) {
        code = read_copy(task, &r);
    }
    return code != 0 || el_reader_left(&r) == 0 ? code : EVLOG_ERR_CORRUPT;
}
