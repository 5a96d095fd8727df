/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what is restored is what was archived, byte for byte, up to the time and no further; nothing is written over;
 * what was interrupted goes on. Method: archives that a builder makes in memory, and a reader of checkpoints and
 * segments of its own.
 */
#include "archive_builder.h"
#include "mem_store.h"
#include "test.h"

#include <core/alloc.h>
#include <core/crypto.h>
#include <core/hash.h>
#include <evlog/error.h>
#include <format/batch.h>
#include <format/catalogue_layout.h>
#include <format/checkpoint_layout.h>
#include <format/node_layout.h>
#include <format/segment_layout.h>
#include <stdio.h>
#include <store/archive_restore.h>
#include <store/new_dir.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECOND_NS 1000000000ull

struct world {
    struct mem_store *store;
    struct archive_builder *b;
    struct archive_restore_options options;
    struct archive_restore_result result;
    char dir[512];
    struct el_error err;
};

/* --- an archive --------------------------------------------------------------------------------------------------- */

/* A record of the catalogue: a topic with the id of this name, whose partitions are on these shards. */
static void put_topic_as(struct world *w, const char *id_of, const char *name, bool internal, const uint16_t *owners,
                         uint32_t count)
{
    uint8_t key[EL_CATALOGUE_KEY_LEN], value[400] = {1, EL_CATALOGUE_PUT, internal};
    struct el_uuid id = archive_builder_topic_id(id_of);
    size_t name_len = strlen(name), len = EL_CATALOGUE_HEAD_LEN + name_len;
    struct el_batch_builder builder;
    struct el_slice batch;
    el_catalogue_key_put(key, &id);
    el_put_le32(value + 4, count);
    el_put_le16(value + 8, (uint16_t)name_len);
    el_put_le16(value + 10, 4);
    memcpy(value + EL_CATALOGUE_HEAD_LEN, name, name_len);
    for (uint32_t i = 0; i < count; i++, len += 2) {
        el_put_le16(value + len, owners[i]);
    }
    struct el_record_body body = {.key = el_slice_of(key, sizeof key), .value = el_slice_of(value, len + 4)};
    el_batch_builder_init(&builder, 1 << 16);
    assert_int_equal(el_batch_builder_add(&builder, 5, &body), 0);
    assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, &batch), 0);
    archive_builder_append_batch(w->b, "__evlog_meta", 0, batch, w->b->now_ns + SECOND_NS);
    el_batch_builder_destroy(&builder);
}

static void put_topic(struct world *w, const char *name, bool internal, const uint16_t *owners, uint32_t count)
{
    put_topic_as(w, name, name, internal, owners, count);
    archive_builder_topic(w->b, name, count);
}

/* "a" with partitions on shards 0 and 1, "b" with one, "groups" of evlog's own. */
static void world_open(struct world *w)
{
    static const uint16_t owners[] = {0, 1};
    static struct el_private_key *key;
    *w = (struct world){.store = mem_store_open()};
    if (key == NULL) {
        assert_int_equal(el_private_key_make(EL_SIGN_ECDSA_P256, &key, NULL), 0);
    }
    w->b = archive_builder_open(&w->store->base, &(struct archive_build){.seed = 3, .keys = &key, .key_count = 1});
    snprintf(w->dir, sizeof w->dir, "%s/data", el_test_dir());
    w->options = (struct archive_restore_options){.path = w->dir, .threads = 2};
    archive_builder_topic(w->b, "__evlog_meta", 1);
    put_topic(w, "a", false, owners, 2);
    put_topic(w, "groups", true, owners, 1);
    archive_builder_append(w->b, "a", 0, 4);
    archive_builder_append(w->b, "a", 1, 2);
    archive_builder_append(w->b, "groups", 0, 2);
    archive_builder_round(w->b);
    put_topic(w, "b", false, owners, 1);
    archive_builder_append(w->b, "b", 0, 3);
    archive_builder_segment(w->b, "a", 0);
    archive_builder_append(w->b, "a", 0, 3);
    archive_builder_round(w->b);
}

static void world_close(struct world *w)
{
    archive_builder_close(w->b);
    object_store_close(&w->store->base);
}

static int restore(struct world *w)
{
    struct archive_reader_options reader = {0};
    return archive_restore(&w->store->base, &reader, &w->options, &w->result, &w->err);
}

static void restores(struct world *w)
{
    int code = restore(w);
    if (code != 0) {
        (void)fprintf(stderr, "restore: %s\n", w->err.text);
    }
    assert_int_equal(code, 0);
}

static void says(const struct world *w, const char *word)
{
    if (strstr(w->err.text, word) == NULL) {
        fail_msg("text: %s", w->err.text);
    }
}

/* --- a directory -------------------------------------------------------------------------------------------------- */

static uint8_t *file_of(const struct world *w, const char *name, size_t *len)
{
    char path[800];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", w->dir, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return NULL;
    }
    assert_int_equal(fstat(fileno(file), &st), 0);
    uint8_t *bytes = el_malloc((size_t)st.st_size + 1);
    *len = fread(bytes, 1, (size_t)st.st_size, file);
    assert_int_equal(*len, st.st_size);
    fclose(file);
    return bytes;
}

static struct el_node node_of(const struct world *w)
{
    struct el_node node;
    size_t len = 0;
    uint8_t *bytes = file_of(w, "node", &len);
    assert_non_null(bytes);
    assert_int_equal(len, EL_NODE_LEN);
    assert_int_equal(el_node_get(bytes, &node, NULL), 0);
    el_free(bytes);
    return node;
}

struct log {
    struct el_checkpoint_entry entry;
    struct el_checkpoint_epoch epochs[16];
    struct el_checkpoint_segment segments[16];
    struct el_checkpoint_producer producers[16];
    struct el_checkpoint_batch produced[16][5];
    bool there;
};

static struct log log_of(const struct world *w, uint32_t shard, const char *topic, int32_t partition)
{
    struct log found = {0};
    struct el_checkpoint_header header;
    struct el_uuid id = archive_builder_topic_id(topic);
    struct el_reader r;
    char name[64];
    size_t len = 0;
    snprintf(name, sizeof name, "checkpoint/%04u/0000000000000001", shard);
    uint8_t *bytes = file_of(w, name, &len);
    assert_non_null(bytes);
    assert_int_equal(el_checkpoint_open(bytes, len, &header), 0);
    assert_int_equal(header.shard, shard);
    el_reader_init(&r, bytes + EL_CHECKPOINT_HEADER_LEN, len - EL_CHECKPOINT_HEADER_LEN);
    for (uint32_t i = 0; i < header.entry_count; i++) {
        struct log log = {.there = true};
        el_checkpoint_entry_get(&r, &log.entry);
        assert_true(log.entry.epoch_count <= 16 && log.entry.segment_count <= 16 && log.entry.producer_count <= 16);
        for (uint32_t k = 0; k < log.entry.epoch_count; k++) {
            el_checkpoint_epoch_get(&r, &log.epochs[k]);
        }
        for (uint32_t k = 0; k < log.entry.segment_count; k++) {
            el_checkpoint_segment_get(&r, &log.segments[k]);
        }
        for (uint32_t k = 0; k < log.entry.producer_count; k++) {
            el_checkpoint_producer_get(&r, &log.producers[k]);
            for (uint32_t n = 0; n < log.producers[k].batch_count; n++) {
                el_checkpoint_batch_get(&r, &log.produced[k][n]);
            }
        }
        if (el_uuid_eq(&log.entry.topic_id, &id) && log.entry.partition == partition) {
            found = log;
        }
    }
    assert_int_equal(r.err, 0);
    assert_int_equal(el_reader_left(&r), 0);
    el_free(bytes);
    return found;
}

/* The batches of a segment, each compared with what was archived from batch `first` on. returns their number */
static uint32_t check_segment(const struct world *w, const struct log *log, uint32_t number,
                              const struct built_partition *built, uint32_t first)
{
    const struct el_checkpoint_segment *segment = &log->segments[number];
    struct el_segment_header head;
    char name[128], hex[33];
    size_t len = 0;
    uint32_t count = 0;
    el_hex(hex, log->entry.topic_id.bytes, 16);
    snprintf(name, sizeof name, "topics/%s/%d/%08llu.seg", hex, log->entry.partition, (unsigned long long)segment->id);
    uint8_t *bytes = file_of(w, name, &len);
    assert_non_null(bytes);
    assert_int_equal(el_segment_header_get(bytes, &head), 0);
    assert_int_equal(head.base_offset, segment->base_offset);
    assert_int_equal(head.segment_id, segment->id);
    for (uint64_t pos = EL_SEGMENT_HEADER_LEN; pos < segment->len;) {
        struct el_chunk_header chunk;
        assert_int_equal(el_chunk_header_get(bytes + pos, &chunk), 0);
        assert_int_equal(el_chunk_check(bytes + pos, &chunk), 0);
        assert_int_equal(chunk.pos, pos);
        const uint8_t *batch = bytes + pos + EL_CHUNK_HEADER_LEN + (size_t)chunk.count * EL_CHUNK_ENTRY_LEN;
        for (uint32_t i = 0; i < chunk.count; i++, count++) {
            const struct built_batch *was = &built->batches[first + count];
            struct el_chunk_entry entry;
            el_chunk_entry_get(bytes + pos + EL_CHUNK_HEADER_LEN + (size_t)i * EL_CHUNK_ENTRY_LEN, &entry);
            assert_true(first + count < built->count);
            assert_int_equal(entry.len, was->row.len);
            assert_memory_equal(batch, was->data, entry.len);
            assert_int_equal(entry.checksum, el_xxh3(batch, entry.len));
            assert_int_equal(entry.append_time_ns, was->row.leaf.append_time_ns);
            assert_int_equal(entry.base_offset, was->row.leaf.first_offset);
            assert_int_equal(entry.leader_epoch, was->row.leaf.leader_epoch);
            assert_memory_equal(entry.salt, was->row.salt, 16);
            batch += entry.len;
        }
        pos = el_chunk_end(pos, chunk.count, chunk.data_len);
    }
    uint64_t footer_pos, footer_len, sum;
    assert_int_equal(el_trailer_get(bytes + len - EL_SEGMENT_TRAILER_LEN, len, &footer_pos, &footer_len, &sum), 0);
    assert_int_equal(footer_pos, segment->len);
    el_free(bytes);
    return count;
}

/* The log has these batches, from number `first` on. */
static void holds(struct world *w, uint32_t shard, const char *topic, int32_t partition, uint32_t first, uint32_t count)
{
    struct log log = log_of(w, shard, topic, partition);
    const struct built_partition *built = archive_builder_partition(w->b, topic, partition);
    uint32_t found = 0;
    assert_true(log.there);
    for (uint32_t i = 0; i < log.entry.segment_count; i++) {
        found += check_segment(w, &log, i, built, first + found);
    }
    assert_int_equal(found, count);
    if (count > 0) {
        assert_true(log.entry.next_offset >= el_pack_batch_end(&built->batches[first + count - 1].row));
    }
    assert_int_equal(log.entry.segment_end, log.entry.next_offset);
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

TEST(archive_restore, writes_over_nothing)
{
    struct world w;
    char path[600];
    world_open(&w);
    assert_int_equal(mkdir(w.dir, 0700), 0);
    snprintf(path, sizeof path, "%s/letter.txt", w.dir);
    FILE *file = fopen(path, "w");
    fputs("mine", file);
    fclose(file);
    assert_int_equal(restore(&w), EVLOG_ERR_EXISTS);
    says(&w, "letter.txt");
    assert_int_equal(unlink(path), 0);
    restores(&w);
    assert_int_equal(restore(&w), EVLOG_ERR_EXISTS); /* which evlogd may have written to since */
    world_close(&w);
}

TEST(archive_restore, to_a_time_that_is_not_archived_is_refused_with_what_is)
{
    struct world w;
    world_open(&w);
    w.options.until_ns = w.b->now_ns + 1;
    assert_int_equal(restore(&w), EVLOG_ERR_ARGUMENT);
    says(&w, "complete through 2026-01-01T");
    w.options.until_ns = w.b->now_ns;
    restores(&w);
    world_close(&w);
}

TEST(archive_restore, of_a_topic_that_there_was_not_is_refused)
{
    static const char *const topics[] = {"b", NULL};
    struct world w;
    world_open(&w);
    w.options.topics = topics;
    w.options.topic_count = 1;
    w.options.until_ns = archive_builder_partition(w.b, "a", 0)->batches[0].row.leaf.append_time_ns;
    assert_int_equal(restore(&w), EVLOG_ERR_UNKNOWN_TOPIC);
    says(&w, "at that time");
    w.options.until_ns = 0;
    restores(&w);
    world_close(&w);
}

/* No broker would start with what came of it. */
TEST(archive_restore, of_a_catalogue_with_one_name_twice_or_two_names_is_refused)
{
    static const uint16_t owners[] = {0, 1};
    static const struct {
        const char *id_of, *name, *said[2];
    } rows[] = {{"other", "a", {"two topics", "have one name: a and a"}},
                {"b", "c", {"has two names", "b and c"}},
                {"c", "d", {NULL, NULL}}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world w;
        struct stat st;
        world_open(&w);
        snprintf(w.dir + strlen(w.dir), sizeof w.dir - strlen(w.dir), "%zu", i);
        put_topic_as(&w, rows[i].id_of, rows[i].name, false, owners, 1);
        archive_builder_round(w.b);
        if (rows[i].said[0] == NULL) {
            restores(&w);
        } else {
            assert_int_equal(restore(&w), EVLOG_ERR_CORRUPT);
            says(&w, rows[i].said[0]);
            says(&w, rows[i].said[1]);
            says(&w, "the catalogue of topics at offset 3: ");
            assert_int_not_equal(stat(w.dir, &st), 0);
        }
        world_close(&w);
    }
}

TEST(archive_restore, of_a_damaged_object_fails_and_goes_on_when_it_is_whole)
{
    struct world w;
    world_open(&w);
    mem_store_fault(w.store,
                    (struct mem_fault){.call = MEM_GET, .key_part = ".seg", .count = UINT32_MAX, .effect = MEM_FLIP});
    assert_int_equal(restore(&w), EVLOG_ERR_CORRUPT);
    says(&w, ".seg");
    mem_store_clear_faults(w.store);
    w.options.until_ns = w.b->now_ns;
    assert_int_equal(restore(&w), EVLOG_ERR_EXISTS); /* that is another request */
    says(&w, "something else");
    w.options.until_ns = 0;
    restores(&w);
    assert_true(w.result.counts.before > 0);
    holds(&w, 0, "a", 0, 0, 7);
    world_close(&w);
}

/* --- what is there ------------------------------------------------------------------------------------------------ */

TEST(archive_restore, brings_all_logs_back_byte_for_byte)
{
    struct world w;
    world_open(&w);
    restores(&w);
    struct el_node node = node_of(&w);
    assert_memory_equal(node.id.bytes, w.b->cluster.bytes, 16);
    assert_int_equal(node.shard_count, 2);
    assert_true(node.clean);
    assert_true(node.clock_ns >= w.b->now_ns);
    assert_true(node.leader_epoch >= ARCHIVE_RESTORE_EPOCHS);
    holds(&w, 0, "__evlog_meta", 0, 0, 3);
    holds(&w, 0, "a", 0, 0, 7);
    holds(&w, 1, "a", 1, 0, 2);
    holds(&w, 0, "b", 0, 0, 3);
    holds(&w, 0, "groups", 0, 0, 2);
    assert_int_equal(w.result.counts.topics, 2);
    assert_int_equal(w.result.counts.last_append_ns, w.b->now_ns);
    world_close(&w);
}

TEST(archive_restore, to_a_time_is_what_there_was_then)
{
    struct world w;
    world_open(&w);
    const struct built_partition *a = archive_builder_partition(w.b, "a", 0);
    w.options.until_ns = a->batches[2].row.leaf.append_time_ns;
    restores(&w);
    holds(&w, 0, "__evlog_meta", 0, 0, 2);
    holds(&w, 0, "a", 0, 0, 3);
    struct log empty = log_of(&w, 1, "a", 1);
    assert_true(empty.there);
    assert_int_equal(empty.entry.next_offset, 0);
    assert_false(log_of(&w, 0, "b", 0).there);
    world_close(&w);
}

TEST(archive_restore, of_one_topic_ends_the_others)
{
    static const char *const topics[] = {"b"};
    struct world w;
    world_open(&w);
    w.options.topics = topics;
    w.options.topic_count = 1;
    restores(&w);
    holds(&w, 0, "b", 0, 0, 3);
    holds(&w, 0, "groups", 0, 0, 2);
    assert_false(log_of(&w, 0, "a", 0).there);
    struct log meta = log_of(&w, 0, "__evlog_meta", 0);
    assert_int_equal(meta.entry.next_offset, 4); /* and the record that ends "a" */
    assert_int_equal(meta.epochs[1].epoch, node_of(&w).leader_epoch);
    world_close(&w);
}

TEST(archive_restore, says_which_offsets_are_missing)
{
    struct world w;
    world_open(&w);
    archive_builder_skip(w.b, "a", 1, 10);
    archive_builder_append(w.b, "a", 1, 1);
    archive_builder_log_start(w.b, "a", 0, 5);
    archive_builder_segment(w.b, "b", 0);
    archive_builder_round(w.b);
    archive_builder_redact(w.b, "b", 0, 2, "a secret");
    archive_builder_round(w.b);
    restores(&w);
    struct log a = log_of(&w, 0, "a", 0), gap = log_of(&w, 1, "a", 1), b = log_of(&w, 0, "b", 0);
    holds(&w, 0, "a", 0, 2, 5); /* the batch that holds offset 5, and what follows */
    assert_int_equal(a.entry.log_start, 5);
    assert_int_equal(a.segments[0].base_offset, 4);
    assert_int_equal(a.segments[0].flags, EL_CHECKPOINT_SEGMENT_SEALED);
    assert_int_equal(gap.segments[0].flags, EL_CHECKPOINT_SEGMENT_SEALED | EL_CHECKPOINT_SEGMENT_COMPACTED);
    assert_int_equal(gap.entry.next_offset, 16);
    assert_int_equal(b.segments[0].flags, EL_CHECKPOINT_SEGMENT_SEALED | EL_CHECKPOINT_SEGMENT_COMPACTED);
    assert_int_equal(w.result.counts.redacted, 1);
    world_close(&w);
}

TEST(archive_restore, gives_no_offset_out_again_that_was_deleted)
{
    static const uint16_t owners[] = {0};
    struct world w;
    world_open(&w);
    put_topic(&w, "c", false, owners, 1);
    archive_builder_log_start(w.b, "a", 1, 50); /* deleted before it was archived: the archive ends below */
    archive_builder_log_start(w.b, "c", 0, 7);  /* and here it never had anything */
    archive_builder_round(w.b);
    restores(&w);
    struct log a = log_of(&w, 1, "a", 1), c = log_of(&w, 0, "c", 0);
    assert_int_equal(a.entry.log_start, 50);
    assert_int_equal(a.entry.next_offset, 50);
    assert_int_equal(c.entry.log_start, 7);
    assert_int_equal(c.entry.next_offset, 7);
    world_close(&w);
}

TEST(archive_restore, takes_internal_topics_only_as_far_as_it_is_complete)
{
    struct world w;
    world_open(&w);
    uint64_t complete_ns = w.b->now_ns;
    archive_builder_append(w.b, "groups", 0, 2);
    archive_builder_append(w.b, "a", 0, 2);
    w.b->now_ns = complete_ns;
    archive_builder_round(w.b);
    restores(&w);
    holds(&w, 0, "groups", 0, 0, 2);
    holds(&w, 0, "a", 0, 0, 9);
    world_close(&w);
}

TEST(archive_restore, keeps_the_last_batches_of_idempotent_producers)
{
    struct world w;
    world_open(&w);
    for (int32_t i = 0; i < 7; i++) {
        struct el_batch_builder builder;
        struct el_slice batch;
        struct el_record_body body = {.value = el_slice_str("x")};
        struct el_batch_origin origin = {.producer_id = (5ll << 40) | 77, .base_sequence = i, .producer_epoch = 3};
        el_batch_builder_init(&builder, 1 << 16);
        assert_int_equal(el_batch_builder_add(&builder, 5, &body), 0);
        assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_NONE, &origin, &batch), 0);
        archive_builder_append_batch(w.b, "b", 0, batch, w.b->now_ns + SECOND_NS);
        el_batch_builder_destroy(&builder);
    }
    archive_builder_round(w.b);
    restores(&w);
    struct log b = log_of(&w, 0, "b", 0);
    assert_int_equal(b.entry.producer_count, 1);
    assert_int_equal(b.producers[0].id, (5ll << 40) | 77);
    assert_int_equal(b.producers[0].epoch, 3);
    assert_int_equal(b.producers[0].batch_count, 5);
    assert_int_equal(b.produced[0][0].first_sequence, 2);
    assert_int_equal(b.produced[0][4].first_sequence, 6);
    assert_int_equal(b.produced[0][4].base_offset, 12);
    world_close(&w);
}

/* --- what may stay in the archive --------------------------------------------------------------------------------- */

static bool all_but_a(void *arg, const char *name, struct el_slice settings)
{
    (void)arg;
    assert_int_equal(settings.len, EL_CATALOGUE_NO_SETTINGS_LEN);
    assert_string_not_equal(name, "groups"); /* nobody is asked for evlog's own */
    return strcmp(name, "a") != 0;
}

/* "a" 0 is here from batch `first` of 7 on. */
static void left_before(struct world *w, uint32_t first)
{
    struct log a = log_of(w, 0, "a", 0);
    const struct built_partition *built = archive_builder_partition(w->b, "a", 0);
    holds(w, 0, "a", 0, first, 7 - first);
    assert_int_equal(a.entry.flags, first > 0 ? EL_CHECKPOINT_ENTRY_ARCHIVED : 0);
    assert_int_equal(a.entry.log_start, 0);
    assert_int_equal(a.segments[0].base_offset, built->batches[first].row.leaf.first_offset);
    assert_int_equal(a.segments[0].flags, EL_CHECKPOINT_SEGMENT_SEALED); /* without holes */
}

TEST(archive_restore, of_what_need_not_be_whole_brings_the_newest_events_only)
{
    for (uint32_t first = 0; first < 7; first++) {
        struct world w;
        world_open(&w);
        const struct built_partition *built = archive_builder_partition(w.b, "a", 0);
        w.options.whole = all_but_a;
        snprintf(w.dir, sizeof w.dir, "%s/data%u", el_test_dir(), first);
        w.options.recent_ns = w.b->now_ns - built->batches[first].row.leaf.append_time_ns;
        restores(&w);
        left_before(&w, first);
        holds(&w, 0, "__evlog_meta", 0, 0, 3);
        holds(&w, 0, "b", 0, 0, 3);
        holds(&w, 0, "groups", 0, 0, 2);
        assert_int_equal(log_of(&w, 0, "b", 0).entry.flags, 0);
        assert_int_equal(w.result.counts.left, (first > 0) + (log_of(&w, 1, "a", 1).entry.flags != 0));
        world_close(&w);
    }
}

TEST(archive_restore, brings_the_last_batch_however_old_it_is)
{
    struct world w;
    world_open(&w);
    w.b->now_ns += 86400 * SECOND_NS;
    archive_builder_append(w.b, "groups", 0, 1);
    archive_builder_round(w.b);
    w.options.whole = all_but_a;
    restores(&w);
    left_before(&w, 6);
    holds(&w, 1, "a", 1, 1, 1);
    world_close(&w);
}

TEST(archive_restore, leaves_all_in_the_archive_when_the_last_batch_is_redacted)
{
    struct world w;
    world_open(&w);
    const struct built_partition *built = archive_builder_partition(w.b, "a", 0);
    int64_t last = built->batches[6].row.leaf.first_offset;
    archive_builder_segment(w.b, "a", 0);
    archive_builder_round(w.b);
    archive_builder_redact(w.b, "a", 0, last, "a secret");
    archive_builder_round(w.b);
    w.options.whole = all_but_a;
    restores(&w);
    struct log a = log_of(&w, 0, "a", 0);
    assert_int_equal(a.entry.segment_count, 0);
    assert_int_equal(a.entry.flags, EL_CHECKPOINT_ENTRY_ARCHIVED);
    assert_int_equal(a.entry.log_start, 0);
    assert_int_equal(a.entry.segment_end, last + 2);
    assert_int_equal(a.entry.next_offset, last + 2);
    world_close(&w);
}

TEST(archive_restore, to_a_time_is_whole_whatever_need_not_be)
{
    struct world w;
    world_open(&w);
    w.options.whole = all_but_a;
    w.options.until_ns = w.b->now_ns;
    restores(&w);
    left_before(&w, 0);
    assert_int_equal(w.result.counts.left, 0);
    world_close(&w);
}

static bool stop_soon(void *arg, const struct archive_restore_counts *counts);

TEST(archive_restore, with_less_of_it_goes_on_for_the_same_only)
{
    struct world w;
    int asked = 0;
    world_open(&w);
    w.options.whole = all_but_a;
    w.options.progress = stop_soon;
    w.options.arg = &asked;
    w.options.threads = 1;
    assert_int_equal(restore(&w), EVLOG_ERR_CLOSED);
    w.options.progress = NULL;
    w.options.recent_ns = 1;
    assert_int_equal(restore(&w), EVLOG_ERR_EXISTS);
    w.options.recent_ns = 0;
    restores(&w);
    assert_true(w.result.counts.before > 0);
    left_before(&w, 6);
    world_close(&w);
}

/* --- where it is from --------------------------------------------------------------------------------------------- */

TEST(archive_restore, knows_the_root_that_it_goes_on_from)
{
    struct world w;
    size_t len = 0;
    uint8_t sum[32];
    struct el_sha256 ctx;
    world_open(&w);
    restores(&w);
    uint8_t *bytes = file_of(&w, "archive/signed", &len);
    assert_non_null(bytes);
    assert_memory_equal(bytes, "EVLOGSGD", 8);
    el_sha256_begin(&ctx);
    el_sha256_add(&ctx, bytes, 56);
    el_sha256_add(&ctx, bytes + 96, len - 96);
    el_sha256_end(&ctx, sum);
    assert_memory_equal(sum, bytes + 56, 32);
    struct archive_state *draft = archive_state_new();
    int code = archive_state_apply(draft, bytes + 96, len - 96, &w.err);
    if (code != 0) {
        fail_msg("draft: %s", w.err.text);
    }
    assert_memory_equal(draft->header.parent.bytes, w.b->incarnation.bytes, 16);
    assert_int_equal(draft->header.parent_sequence, w.result.root.sequence);
    assert_memory_equal(draft->header.parent_root, w.result.root.hash.bytes, 32);
    struct el_uuid a = archive_builder_topic_id("a");
    const struct archive_partition *p = archive_state_partition(draft, &a, 0);
    assert_non_null(p);
    assert_int_equal(p->now.start_offset, 14);
    assert_int_equal(p->now.end_offset, 14);
    archive_state_free(draft);
    el_free(bytes);
    world_close(&w);
}

TEST(archive_restore, has_patience_with_a_store_that_asks_for_it)
{
    struct world w;
    world_open(&w);
    mem_store_fault(
        w.store, (struct mem_fault){
                     .call = MEM_GET, .key_part = "bundles", .count = 2, .effect = MEM_FAIL, .code = EVLOG_ERR_AGAIN});
    mem_store_fault(
        w.store, (struct mem_fault){
                     .call = MEM_GET, .key_part = "manifest", .count = 1, .effect = MEM_FAIL, .code = EVLOG_ERR_AGAIN});
    restores(&w);
    holds(&w, 0, "a", 0, 0, 7);
    world_close(&w);
}

static bool stop_soon(void *arg, const struct archive_restore_counts *counts)
{
    (void)counts;
    return ++*(int *)arg < 3;
}

TEST(archive_restore, goes_on_where_it_was_stopped)
{
    struct world w;
    int asked = 0;
    world_open(&w);
    w.options.progress = stop_soon;
    w.options.arg = &asked;
    w.options.threads = 1;
    assert_int_equal(restore(&w), EVLOG_ERR_CLOSED);
    w.options.progress = NULL;
    restores(&w);
    assert_true(w.result.counts.before >= 2);
    holds(&w, 0, "__evlog_meta", 0, 0, 3);
    holds(&w, 0, "a", 0, 0, 7);
    holds(&w, 1, "a", 1, 0, 2);
    holds(&w, 0, "b", 0, 0, 3);
    world_close(&w);
}
