/* SPDX-License-Identifier: Apache-2.0
 *
 * See fake_store.h.
 */
#include <core/logger.h>
#include <core/rng.h>
#include <fake_store.h>

#include <stdio.h>
#include <stdlib.h>

#define WALL_NS 1700000000000000000u
#define NS_PER_MS 1000000u
#define ROUNDS_MAX 1000000u /* at one time: whoever wants more spins */

struct fake_store *fake_store;

/* --- io ----------------------------------------------------------------------------------------------------------- */

static void wake(struct io *io)
{
    (void)io;
}

static void random_fill(struct io *io, void *buf, size_t len)
{
    struct el_rng rng;
    (void)io;
    el_rng_seed(&rng, ++fake_store->random);
    for (size_t i = 0; i < len; i++) {
        ((uint8_t *)buf)[i] = (uint8_t)el_rng_next(&rng);
    }
}

/* Jobs run in the next fake_store_run(). */
static void submit(struct io *io, struct io_op *op)
{
    struct fake_store *fs = fake_store;
    (void)io;
    assert_int_equal(op->code, IO_JOB_COMPUTE);
    assert_true(fs->job_count < FAKE_OPS_MAX);
    fs->jobs[fs->job_count++] = op;
}

static void jobs_run(struct fake_store *fs)
{
    while (fs->job_count > 0) {
        struct io_op *op = fs->jobs[--fs->job_count];
        op->result = op->job(NULL, op->job_arg);
        op->code = IO_NONE;
        op->done(op);
    }
}

static const struct io_ops ops = {.wake = wake, .random = random_fill, .submit = submit};

void fake_store_run(struct fake_store *fs)
{
    bool busy = true;
    for (uint32_t rounds = 0; busy; rounds++) {
        EL_ASSERT(rounds < ROUNDS_MAX);
        busy = false;
        for (uint32_t i = 0; i < FAKE_SHARDS; i++) {
            struct io *io = &fs->shards[i].io;
            io->now_ns = (1000 + fs->now_ms) * NS_PER_MS;
            busy = busy || !el_queue_empty(&io->inbox) || io_timer_next(io) <= io->now_ns || fs->job_count > 0;
            jobs_run(fs);
            io_inbox_run(io);
            io_timer_run(io);
        }
    }
}

void fake_store_ms(struct fake_store *fs, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i++) {
        fs->now_ms++;
        atomic_store(&fs->clock.estimate, WALL_NS + fs->now_ms * NS_PER_MS);
        fake_store_run(fs);
    }
}

/* --- storage ------------------------------------------------------------------------------------------------------ */

struct io *store_shard_io(struct store_shard *shard)
{
    return &shard->io;
}
struct el_buddy *store_shard_buddy(struct store_shard *shard)
{
    return &shard->buddy;
}
struct metrics *store_shard_metrics(struct store_shard *shard)
{
    return shard->metrics;
}
uint32_t store_shard_index(const struct store_shard *shard)
{
    return shard->index;
}
uint32_t store_shard_count(const struct store *store)
{
    (void)store;
    return FAKE_SHARDS;
}
struct store *store_shard_store(struct store_shard *shard)
{
    (void)shard;
    return NULL;
}
struct el_clock *store_clock(struct store *store)
{
    (void)store;
    return &fake_store->clock;
}

const struct topic *store_topic_by_name(struct store_shard *shard, struct el_slice name)
{
    (void)shard;
    for (uint32_t i = 0; i < fake_store->topic_count; i++) {
        if (el_slice_eq(name, el_slice_str(fake_store->topics[i].name))) {
            return &fake_store->topics[i];
        }
    }
    return NULL;
}

const struct topic *store_topic_by_id(struct store_shard *shard, const struct el_uuid *id)
{
    (void)shard;
    for (uint32_t i = 0; i < fake_store->topic_count; i++) {
        if (el_uuid_eq(id, &fake_store->topics[i].id) && fake_store->topics[i].name[0] != 0) {
            return &fake_store->topics[i];
        }
    }
    return NULL;
}

uint32_t store_topic_count(struct store_shard *shard)
{
    uint32_t count = 0;
    (void)shard;
    for (uint32_t i = 0; i < fake_store->topic_count; i++) {
        count += fake_store->topics[i].name[0] != 0;
    }
    return count;
}

const struct topic *store_topic_at(struct store_shard *shard, uint32_t index)
{
    (void)shard;
    for (uint32_t i = 0; i < fake_store->topic_count; i++) {
        if (fake_store->topics[i].name[0] != 0 && index-- == 0) {
            return &fake_store->topics[i];
        }
    }
    return NULL;
}

struct topic *fake_topic(struct fake_store *fs, const char *name, int32_t partitions)
{
    assert_true(fs->topic_count < FAKE_TOPICS_MAX);
    struct topic *topic = &fs->topics[fs->topic_count++];
    memset(topic, 0, sizeof *topic);
    memset(topic->id.bytes, (int)fs->topic_count, sizeof topic->id.bytes);
    snprintf(topic->name, sizeof topic->name, "%s", name);
    topic->name_len = (uint16_t)strlen(name);
    topic->internal = strncmp(name, "__", 2) == 0;
    fake_topic_grow(topic, partitions);
    return topic;
}

void fake_topic_grow(struct topic *topic, int32_t partitions)
{
    assert_true(partitions <= FAKE_PARTITIONS_MAX);
    free(topic->shard_of);
    topic->shard_of = calloc((size_t)partitions, sizeof *topic->shard_of);
    for (int32_t i = 0; i < partitions; i++) {
        topic->shard_of[i] = (uint16_t)(i % FAKE_SHARDS);
    }
    topic->partition_count = partitions;
}

/* Of a topic that may be deleted. */
static uint32_t index_of(const struct el_uuid *id)
{
    uint32_t index = (uint32_t)id->bytes[0] - 1;
    assert_true(index < fake_store->topic_count);
    return index;
}

static int64_t *next_offset(const struct el_uuid *id, int32_t partition)
{
    assert_true(partition >= 0 && partition < FAKE_PARTITIONS_MAX);
    return &fake_store->next_offset[index_of(id)][partition];
}

/* Watches of a partition, or with partition -1 of a topic, that are above offset end. */
static void watches_fire(const struct el_uuid *topic_id, int32_t partition, int error)
{
    struct fake_store *fs = fake_store;
    for (uint32_t i = 0; i < fs->watch_count;) {
        struct watch_op *op = fs->watches[i];
        if (!el_uuid_eq(&op->topic_id, topic_id) || (partition >= 0 && op->partition != partition) ||
            (error == 0 && *next_offset(topic_id, op->partition) <= op->offset)) {
            i++;
            continue;
        }
        memmove(&fs->watches[i], &fs->watches[i + 1], (--fs->watch_count - i) * sizeof fs->watches[0]);
        op->base.error = error;
        op->base.done(&op->base);
        i = 0; /* others may have come and gone */
    }
}

void fake_topic_delete(struct fake_store *fs, const char *name)
{
    for (uint32_t i = 0; i < fs->topic_count; i++) {
        if (strcmp(fs->topics[i].name, name) == 0) {
            fs->topics[i].name[0] = 0;
            watches_fire(&fs->topics[i].id, -1, EVLOG_ERR_UNKNOWN_TOPIC);
        }
    }
}

void store_topic_change(struct store_shard *shard, struct topic_op *op)
{
    (void)shard;
    char name[EL_TOPIC_NAME_MAX + 1];
    op->base.error = fake_store->change_error;
    if (op->base.error == 0 && op->verb == TOPIC_CREATE) {
        snprintf(name, sizeof name, "%.*s", (int)op->name.len, (const char *)op->name.data);
        struct topic *topic = fake_topic(fake_store, name, op->partition_count);
        topic->internal = op->internal;
        if (op->config != NULL) {
            topic->config = *op->config;
        }
        op->id = topic->id;
    } else if (op->base.error == 0) {
        assert_int_equal(op->verb, TOPIC_GROW);
        fake_topic_grow(&fake_store->topics[index_of(&op->id)], op->partition_count);
    }
    op->base.done(&op->base);
}

static bool is_held(const struct fake_store *fs, const struct append_op *op)
{
    return fs->held != NULL && el_uuid_eq(&op->topic_id, &fs->held->id);
}

void store_append(struct store_shard *shard, struct append_op *op)
{
    struct fake_store *fs = fake_store;
    int64_t *next = next_offset(&op->topic_id, op->partition);
    (void)shard;
    assert_true(fs->batch_count < FAKE_BATCHES_MAX);
    assert_int_equal(el_batch_verify(op->batch, op->batch_len), 0);
    op->base.error = fs->refuse == NULL ? 0 : fs->refuse(op);
    if (op->base.error != 0) {
        op->base.done(&op->base);
        return;
    }
    struct fake_batch *batch = &fs->batches[fs->batch_count++];
    *batch = (struct fake_batch){
        .data = malloc(op->batch_len), .len = op->batch_len, .topic_id = op->topic_id, .partition = op->partition};
    memcpy(batch->data, op->batch, op->batch_len);
    el_batch_assign(batch->data, *next, 0);
    *next += op->info.last_offset_delta + 1;
    op->sequence = fs->batch_count - 1;
    assert_true(fs->append_count < FAKE_OPS_MAX);
    fs->appends[fs->append_count++] = op;
    if (!fs->defer && !is_held(fs, op)) {
        fake_store_durable(fs);
    }
}

void fake_store_durable(struct fake_store *fs)
{
    uint32_t i = 0;
    while (i < fs->append_count && is_held(fs, fs->appends[i])) {
        i++;
    }
    assert_true(i < fs->append_count);
    struct append_op *op = fs->appends[i];
    memmove(&fs->appends[i], &fs->appends[i + 1], (--fs->append_count - i) * sizeof fs->appends[0]);
    fs->batches[op->sequence].durable = fs->append_error == 0;
    struct el_uuid topic_id = op->topic_id;
    int32_t partition = op->partition;
    op->base.error = fs->append_error;
    op->base.done(&op->base);
    if (fs->append_error == 0) {
        watches_fire(&topic_id, partition, 0);
    }
    fake_store_run(fs);
}

void store_watch(struct store_shard *shard, struct watch_op *op)
{
    (void)shard;
    if (*next_offset(&op->topic_id, op->partition) > op->offset) {
        op->base.error = 0;
        op->base.done(&op->base);
        return;
    }
    assert_true(fake_store->watch_count < FAKE_OPS_MAX);
    fake_store->watches[fake_store->watch_count++] = op;
}

void store_watch_cancel(struct watch_op *op)
{
    struct fake_store *fs = fake_store;
    for (uint32_t i = 0; i < fs->watch_count; i++) {
        if (fs->watches[i] == op) {
            memmove(&fs->watches[i], &fs->watches[i + 1], (--fs->watch_count - i) * sizeof fs->watches[0]);
            op->base.error = EVLOG_ERR_CLOSED;
            op->base.done(&op->base);
            return;
        }
    }
}

void store_producer_id(struct store_shard *shard, struct producer_id_op *op)
{
    (void)shard;
    op->producer_id = ++fake_store->producer_id;
    op->base.error = 0;
    op->base.done(&op->base);
}

static int64_t log_start_of(const struct el_uuid *topic_id)
{
    const struct topic *trimmed = fake_store->trimmed;
    return trimmed != NULL && el_uuid_eq(&trimmed->id, topic_id) ? fake_store->log_start : 0;
}

void store_stat(struct store_shard *shard, struct stat_op *op)
{
    (void)shard;
    op->high_watermark = *next_offset(&op->topic_id, op->partition);
    op->log_start_offset = log_start_of(&op->topic_id);
    op->stored_len = 0;
    op->base.error = 0;
    op->base.done(&op->base);
}

void store_lookup(struct store_shard *shard, struct lookup_op *op)
{
    (void)shard;
    assert_int_equal(op->timestamp, -2);
    op->base.error = 0;
    op->offset = 0;
    op->base.done(&op->base);
}

/* One batch each time. */
void store_read(struct store_shard *shard, struct read_op *op)
{
    bool unread = fake_store->unread != NULL && el_uuid_eq(&fake_store->unread->id, &op->topic_id) &&
                  fake_store->unread_partition == op->partition;
    op->base.error = unread ? EVLOG_ERR_NO_FILES : fake_store->read_error;
    op->high_watermark = *next_offset(&op->topic_id, op->partition);
    op->next_offset = op->offset;
    op->entry_count = 0;
    op->log_start_offset = log_start_of(&op->topic_id);
    if (op->offset < op->log_start_offset && op->base.error == 0) {
        op->base.error = EVLOG_ERR_OFFSET_RANGE;
    }
    for (uint32_t i = 0; i < fake_store->batch_count && op->base.error == 0; i++) {
        const struct fake_batch *batch = &fake_store->batches[i];
        if (batch->partition == op->partition && el_uuid_eq(&batch->topic_id, &op->topic_id) &&
            el_batch_last_offset(batch->data) >= op->offset) {
            size_t entry_pos = EL_ALIGN_UP(batch->len, 16);
            op->data = el_buddy_alloc(&shard->buddy, entry_pos + sizeof(struct read_entry));
            op->data_len = batch->len;
            memcpy(op->data, batch->data, batch->len);
            op->entries = (struct read_entry *)(void *)(op->data + entry_pos);
            *op->entries = (struct read_entry){.append_time_ns = WALL_NS, .len = batch->len};
            op->entry_count = 1;
            op->next_offset = el_batch_last_offset(batch->data) + 1;
            break;
        }
    }
    op->private_[0] = &shard->buddy;
    op->base.done(&op->base);
}

void store_read_release(struct read_op *op)
{
    el_buddy_free(op->private_[0], op->data);
    op->data = NULL;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

void fake_store_begin(struct fake_store *fs)
{
    memset(fs, 0, sizeof *fs);
    fake_store = fs;
    el_log_setup(EL_LOG_ERROR, false);
    for (uint32_t i = 0; i < FAKE_SHARDS; i++) {
        struct store_shard *shard = &fs->shards[i];
        shard->index = i;
        shard->io.ops = &ops;
        el_queue_init(&shard->io.inbox);
        shard->io.now_ns = 1000ull * NS_PER_MS;
        assert_int_equal(el_buddy_init(&shard->buddy, 64u << 20, NULL), 0);
        assert_int_equal(metrics_create(&shard->metrics), 0);
    }
    atomic_store(&fs->clock.estimate, WALL_NS);
}

void fake_store_forget(struct fake_store *fs)
{
    uint32_t kept = 0;
    memset(fs->next_offset, 0, sizeof fs->next_offset);
    for (uint32_t i = 0; i < fs->batch_count; i++) {
        struct fake_batch batch = fs->batches[i];
        if (!batch.durable) {
            free(batch.data);
            continue;
        }
        int64_t *next = next_offset(&batch.topic_id, batch.partition);
        el_batch_assign(batch.data, *next, 0);
        *next += el_batch_last_offset_delta(batch.data) + 1;
        fs->batches[kept++] = batch;
    }
    fs->batch_count = kept;
    fs->defer = false;
}

void fake_store_end(struct fake_store *fs)
{
    for (uint32_t i = 0; i < fs->batch_count; i++) {
        free(fs->batches[i].data);
    }
    for (uint32_t i = 0; i < fs->topic_count; i++) {
        free(fs->topics[i].shard_of);
    }
    for (uint32_t i = 0; i < FAKE_SHARDS; i++) {
        assert_int_equal(fs->shards[i].buddy.used, 0);
        assert_int_equal(fs->shards[i].io.timer_count, 0);
        io_timer_free(&fs->shards[i].io);
        metrics_destroy(fs->shards[i].metrics);
        el_buddy_destroy(&fs->shards[i].buddy);
    }
}

int64_t fake_store_metric(const struct fake_store *fs, enum metric_id id)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < FAKE_SHARDS; i++) {
        sum += metrics_get(fs->shards[i].metrics, id);
    }
    return sum;
}
