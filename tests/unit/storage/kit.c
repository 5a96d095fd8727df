/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"

#include <core/alloc.h>
#include <stdio.h>
#include <stdlib.h>

#define MANY_MAX 256u

static void on_flag(struct store_op *op)
{
    bool *flag = op->arg;
    *flag = true;
}

static void kit_wait(struct kit *k, const bool *flag)
{
    bool done = world_wait(&k->w, flag);
    assert_string_equal(k->w.violation, "");
    assert_true(done);
}

void kit_init(struct kit *k, uint64_t seed)
{
    memset(k, 0, sizeof(*k));
    world_init(&k->w, seed, WORLD_SHARDS_MAX, false);
    k->w.shard_count = k->w.cfg.shard_count = 1;
    k->w.cfg.journal_slot_len = 256u << 10;
    k->w.cfg.journal_first_slot_len = 64u << 10;
    k->w.cfg.journal_ring_len = 8u * (256u << 10);
    k->w.cfg.chunk_len = 4u << 10;
    k->w.cfg.carry_len = 512;
    k->w.cfg.open_segments_max = 4;
    k->w.cfg.sync_files_max = 64;
}

int kit_open(struct kit *k)
{
    struct el_error err = {0};
    int code = world_open(&k->w, &err);
    if (code != 0) {
        assert_true(err.text[0] != 0);
        assert_string_equal(k->w.violation, "");
    }
    return code;
}

void kit_crash(struct kit *k)
{
    world_abandon(&k->w);
    sim_disk_power_cycle(k->w.disk);
}

void kit_stop(struct kit *k)
{
    assert_true(world_stop(&k->w));
    assert_string_equal(k->w.violation, "");
    sim_disk_power_cycle(k->w.disk); /* all that matters is durable */
}

void kit_free(struct kit *k)
{
    world_free(&k->w);
}

struct store_shard *kit_shard(struct kit *k)
{
    return store_shard_at(k->w.store, 0);
}

void kit_steps(struct kit *k, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        assert_true(world_step(&k->w));
    }
}

bool kit_checkpoint(struct kit *k)
{
    struct checkpoint *c = &kit_shard(k)->checkpoint;
    uint64_t before = c->sequence + !checkpoint_idle(c); /* one under way does not count */
    c->wanted = true;
    for (uint32_t i = 0; i < 20000 && (c->sequence <= before || !checkpoint_idle(c)); i++) {
        assert_true(world_step(&k->w));
    }
    return c->sequence > before;
}

/* --- topics ------------------------------------------------------------------------------------------------------- */

void kit_topic(struct kit *k, int32_t partition_count, const char *settings)
{
    struct topic_config config;
    char text[256], name[32], *rest = text;
    topic_config_init(&config);
    snprintf(text, sizeof(text), "%s", settings);
    for (char *word; (word = strsep(&rest, " ")) != NULL;) {
        char *value = strchr(word, '=');
        if (value != NULL) {
            *value++ = 0;
            assert_int_equal(topic_config_set(&config, el_slice_str(word), el_slice_str(value), NULL), 0);
        }
    }
    snprintf(name, sizeof(name), "t%u", store_topic_count(kit_shard(k)));
    struct topic_op op = {
        .verb = TOPIC_CREATE, .name = el_slice_str(name), .partition_count = partition_count, .config = &config};
    assert_int_equal(kit_topic_change(k, &op), 0);
    k->topic = op.id;
}

int kit_topic_change(struct kit *k, struct topic_op *op)
{
    bool done = false;
    op->base.done = on_flag;
    op->base.arg = &done;
    store_topic_change(kit_shard(k), op);
    kit_wait(k, &done);
    return op->base.error;
}

int kit_topic_delete(struct kit *k)
{
    struct topic_op op = {.verb = TOPIC_DELETE, .id = k->topic};
    return kit_topic_change(k, &op);
}

/* --- appends and reads -------------------------------------------------------------------------------------------- */

/* Byte i of the value of batch n. */
static uint8_t value_byte(uint32_t n, uint32_t i)
{
    return (uint8_t)(n * 31 + i * 7 + (i >> 8));
}

static void batch_make_as(struct kit *k, struct append_op *op, int32_t partition, uint32_t value_len, int64_t producer,
                          int32_t sequence)
{
    struct el_batch_builder builder;
    struct el_slice batch;
    uint8_t *value = malloc(value_len), *out = malloc(value_len + 256);
    assert_non_null(value);
    assert_non_null(out);
    for (uint32_t i = 0; i < value_len; i++) {
        value[i] = value_byte(k->sent, i);
    }
    k->sent++;
    el_batch_builder_init_fixed(&builder, out, value_len + 256);
    struct el_record_body body = {.value = el_slice_of(value, value_len)};
    assert_int_equal(el_batch_builder_add(&builder, 1000 + k->sent, &body), 0);
    struct el_batch_origin origin = {.producer_id = producer, .base_sequence = sequence};
    assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_NONE, producer < 0 ? NULL : &origin, &batch), 0);
    free(value);
    op->topic_id = k->topic;
    op->partition = partition;
    op->batch = out;
    op->batch_len = (uint32_t)batch.len;
    assert_int_equal(el_batch_check(out, batch.len, op->batch_len, NULL, 0, &op->info), 0);
}

static void batch_make(struct kit *k, struct append_op *op, int32_t partition, uint32_t value_len)
{
    batch_make_as(k, op, partition, value_len, -1, -1);
}

void kit_batch(struct kit *k, struct append_op *op, int32_t partition, uint32_t value_len)
{
    *op = (struct append_op){0};
    batch_make(k, op, partition, value_len);
}

void kit_batch_as(struct kit *k, struct append_op *op, int32_t partition, uint32_t value_len, int64_t producer,
                  int32_t sequence)
{
    *op = (struct append_op){0};
    batch_make_as(k, op, partition, value_len, producer, sequence);
}

int64_t kit_append(struct kit *k, int32_t partition, uint32_t value_len)
{
    return kit_append_as(k, partition, value_len, -1, -1);
}

int64_t kit_append_as(struct kit *k, int32_t partition, uint32_t value_len, int64_t producer, int32_t sequence)
{
    bool done = false;
    struct append_op op = {.base = {.done = on_flag, .arg = &done}};
    batch_make_as(k, &op, partition, value_len, producer, sequence);
    store_append(kit_shard(k), &op);
    kit_wait(k, &done);
    free((void *)(uintptr_t)op.batch);
    k->append_time_ns = op.append_time_ns;
    return op.base.error != 0 ? op.base.error : op.base_offset;
}

void kit_append_many(struct kit *k, int32_t partition, uint32_t value_len, uint32_t count)
{
    static struct append_op ops[MANY_MAX];
    static bool done[MANY_MAX];
    assert_true(count <= MANY_MAX);
    for (uint32_t i = 0; i < count; i++) {
        done[i] = false;
        ops[i] = (struct append_op){.base = {.done = on_flag, .arg = &done[i]}};
        batch_make(k, &ops[i], partition, value_len);
        store_append(kit_shard(k), &ops[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        kit_wait(k, &done[i]);
        assert_int_equal(ops[i].base.error, 0);
        free((void *)(uintptr_t)ops[i].batch);
    }
}

/* The number of a batch is in its event time. */
static void batch_verify(const uint8_t *batch, size_t len)
{
    struct el_batch_iter iter;
    struct el_batch_record record;
    assert_int_equal(el_batch_verify(batch, len), 0);
    assert_int_equal(el_batch_open(&iter, batch, len, NULL, 0), 0);
    assert_int_equal(el_batch_next(&iter, &record), 1);
    uint32_t n = (uint32_t)(record.timestamp_ms - 1001);
    for (uint32_t i = 0; i < record.record.value.len; i++) {
        assert_int_equal(record.record.value.data[i], value_byte(n, i));
    }
}

int64_t kit_read(struct kit *k, int32_t partition, int64_t offset)
{
    bool done = false;
    struct read_op op = {.base = {.done = on_flag, .arg = &done},
                         .topic_id = k->topic,
                         .partition = partition,
                         .offset = offset,
                         .max_bytes = 1,
                         .at_least_one = true,
                         .want_entries = true,
                         .current_leader_epoch = -1,
                         .last_fetched_epoch = -1};
    store_read(kit_shard(k), &op);
    kit_wait(k, &done);
    if (op.base.error != 0) {
        return op.base.error;
    }
    for (uint32_t i = 0; i < op.entry_count; i++) {
        assert_int_equal(el_batch_base_offset(op.data + op.entries[i].pos), offset + i);
        batch_verify(op.data + op.entries[i].pos, op.entries[i].len);
    }
    store_read_release(&op);
    return op.next_offset;
}

void kit_read_all(struct kit *k, int32_t partition, int64_t from, int64_t end)
{
    while (from < end) {
        int64_t next = kit_read(k, partition, from);
        assert_true(next > from);
        from = next;
    }
}

int64_t kit_lookup(struct kit *k, int32_t partition, int64_t timestamp)
{
    bool done = false;
    struct lookup_op op = {.base = {.done = on_flag, .arg = &done},
                           .topic_id = k->topic,
                           .partition = partition,
                           .timestamp = timestamp,
                           .current_leader_epoch = -1};
    store_lookup(kit_shard(k), &op);
    kit_wait(k, &done);
    return op.base.error != 0 ? op.base.error : op.offset;
}

/* --- files -------------------------------------------------------------------------------------------------------- */

struct find {
    const char *text;
    uint32_t n;
    uint32_t count;
    char path[128];
};

static void find_file(void *arg, const char *path, uint64_t len)
{
    struct find *f = arg;
    (void)len;
    if (strstr(path, f->text) != NULL && f->count++ == f->n) {
        snprintf(f->path, sizeof(f->path), "%s", path);
    }
}

uint32_t kit_files(struct kit *k, const char *text)
{
    struct find f = {.text = text};
    sim_disk_each(k->w.disk, false, find_file, &f);
    return f.count;
}

void kit_flip(struct kit *k, const char *text, uint32_t n, uint64_t pos)
{
    struct find f = {.text = text, .n = n};
    sim_disk_each(k->w.disk, true, find_file, &f);
    assert_true(f.path[0] != 0);
    assert_true(sim_disk_flip(k->w.disk, f.path, pos, 1));
}
