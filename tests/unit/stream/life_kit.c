/* SPDX-License-Identifier: Apache-2.0 */
#include "life_kit.h"

#include <core/alloc.h>
#include <stdio.h>

#define BUF_LEN (64u << 10)
#define BATCH_MAX 32u
#define REST_STEPS_MAX 200000u

static bool will_crash;

static void nothing(void *arg)
{
    (void)arg;
}

void life_init(struct life *l, uint64_t seed)
{
    memset(l, 0, sizeof(*l));
    world_init(&l->w, seed, 1, false);
    l->w.mode = MODE_STREAM;
    stream_world_init(&l->sw, &l->w);
    l->sw.step = nothing;
    l->sw.lose = nothing;
    l->sw.step_len = 4096;
}

void life_init_archived(struct life *l, uint64_t seed)
{
    life_init(l, seed);
    l->w.tier = sim_tier_create(&l->w);
    sim_tier_knobs(l->w.tier)->calm = true;
}

void life_free(struct life *l)
{
    world_free(&l->w);
    sim_tier_free(l->w.tier);
    if (will_crash) {
        el_test_may_leak(false);
    }
    will_crash = false;
}

void life_will_crash(void)
{
    if (!will_crash) {
        el_test_may_leak(true);
    }
    will_crash = true;
}

int life_open(struct life *l, struct el_error *err)
{
    int code = world_open(&l->w, err);
    assert_string_equal(l->w.violation, "");
    return code;
}

void life_begin(struct life *l)
{
    static const struct el_uuid none;
    struct el_error err = {0};
    struct topic_config config;
    assert_int_equal(life_open(l, &err), 0);
    if (memcmp(&l->topic, &none, sizeof(none)) == 0) {
        topic_config_init(&config);
        assert_int_equal(topic_config_set(&config, el_slice_str("evlog.streams"), el_slice_str("true"), NULL), 0);
        if (l->w.tier != NULL) {
            struct el_slice name = el_slice_str("evlog.durability");
            assert_int_equal(topic_config_set(&config, name, el_slice_str("store"), NULL), 0);
        }
        assert_int_equal(stream_world_topic(&l->sw, "orders", 1, &config, &l->topic), 0);
    }
}

void life_stop(struct life *l)
{
    assert_true(world_stop(&l->w));
    assert_string_equal(l->w.violation, "");
    sim_disk_process_exit(l->w.disk);
}

void life_crash(struct life *l)
{
    assert_true(will_crash);
    world_abandon(&l->w);
    sim_disk_power_cycle(l->w.disk);
}

struct streams *life_streams(struct life *l)
{
    return l->sw.streams[0];
}

void life_steps(struct life *l, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        assert_true(world_step(&l->w));
    }
}

void life_rest(struct life *l)
{
    for (uint32_t i = 0; i < REST_STEPS_MAX && !streams_idle(life_streams(l)); i++) {
        assert_true(world_step(&l->w));
    }
    assert_true(streams_idle(life_streams(l)));
}

/* --- appends ------------------------------------------------------------------------------------------------------ */

static void on_append(struct store_op *op)
{
    bool *flag = op->arg;
    *flag = true;
}

static size_t batch_build(struct life *l, uint8_t *buf, const char *const *keys, const char *id, uint32_t count)
{
    struct el_batch_builder builder;
    struct el_slice batch;
    uint8_t value[8];
    el_batch_builder_init(&builder, BUF_LEN);
    for (uint32_t i = 0; i < count; i++) {
        struct el_header header = {el_slice_str(STREAM_HEADER_ID), el_slice_str(id == NULL ? "" : id)};
        el_put_le64(value, ++l->sent);
        struct el_record_body body = {.key = el_slice_str(keys[i]),
                                      .value = el_slice_of(value, sizeof(value)),
                                      .headers = &header,
                                      .header_count = id == NULL ? 0 : 1};
        assert_int_equal(el_batch_builder_add(&builder, 1000, &body), 0);
    }
    assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, &batch), 0);
    assert_true(batch.len <= BUF_LEN);
    memcpy(buf, batch.data, batch.len);
    el_batch_builder_destroy(&builder);
    return batch.len;
}

/* The one under way. */
static struct append_op asked;
static struct stream_batch asked_batch;
static bool answered;

static void append_begin(struct life *l, const char *const *keys, const char *id, uint32_t count, int64_t expected)
{
    static uint8_t buf[BUF_LEN], scratch[BUF_LEN];
    const char *why = "";
    size_t len = batch_build(l, buf, keys, id, count);
    answered = false;
    memset(&asked_batch, 0, sizeof(asked_batch));
    asked = (struct append_op){
        .base = {.done = on_append, .arg = &answered}, .topic_id = l->topic, .batch = buf, .batch_len = (uint32_t)len};
    assert_int_equal(el_batch_check(buf, len, EL_BATCH_LEN_MAX, scratch, sizeof(scratch), &asked.info), 0);
    int code = stream_batch_make(&l->sw.secret, buf, len, scratch, sizeof(scratch), NULL, true, &asked_batch, &why);
    assert_int_equal(code, 0);
    asked_batch.records[0].expected = expected;
    asked.observed = &asked_batch;
    store_append(store_shard_at(l->w.store, 0), &asked);
}

static int append_end(struct life *l, int64_t *version)
{
    assert_true(world_wait(&l->w, &answered));
    if (version != NULL) {
        *version = asked.base.error == 0 ? asked_batch.records[0].version : -1;
    }
    el_free(asked_batch.records);
    return asked.base.error;
}

int life_append(struct life *l, const char *key, const char *id, int64_t expected, int64_t *version)
{
    append_begin(l, &key, id, 1, expected);
    return append_end(l, version);
}

void life_append_begin(struct life *l, const char *key)
{
    append_begin(l, &key, NULL, 1, STREAM_ANY);
}

int life_append_end(struct life *l)
{
    return append_end(l, NULL);
}

void life_append_many(struct life *l, uint32_t first, uint32_t count)
{
    char text[BATCH_MAX][16];
    const char *keys[BATCH_MAX];
    while (count > 0) {
        uint32_t some = EL_MIN(count, BATCH_MAX);
        for (uint32_t i = 0; i < some; i++) {
            snprintf(text[i], sizeof(text[i]), "s%u", first + i);
            keys[i] = text[i];
        }
        append_begin(l, keys, NULL, some, STREAM_ANY);
        assert_int_equal(append_end(l, NULL), 0);
        first += some;
        count -= some;
    }
}

void life_flush(struct life *l)
{
    struct streams *st = life_streams(l);
    st->want_flush = true;
    streams_soon(st);
    life_steps(l, 10);
    life_rest(l);
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

int64_t life_last(struct life *l, const char *key)
{
    struct stream_find_op op = {
        .topic_id = l->topic, .hash = stream_hash_key(&l->sw.secret, el_slice_str(key)), .from = -1, .count_max = 1};
    int code = stream_world_find(&l->sw, 0, &op);
    int64_t last = op.last_version;
    streams_find_release(life_streams(l), &op);
    assert_string_equal(l->w.violation, "");
    return code != 0 ? code : last;
}

struct files {
    const char *text;
    char *path;
    uint32_t count;
};

static void file_look(void *arg, const char *path, uint64_t len)
{
    struct files *f = arg;
    (void)len;
    if (strstr(path, f->text) != NULL && f->count++ == 0 && f->path != NULL) {
        snprintf(f->path, 128, "%s", path);
    }
}

uint32_t life_files(struct life *l, const char *text, char *path)
{
    struct files f = {.text = text, .path = path};
    sim_disk_each(l->w.disk, false, file_look, &f);
    return f.count;
}
