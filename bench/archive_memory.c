/* SPDX-License-Identifier: Apache-2.0
 *
 * What it takes in memory to know an archive, for each object: what a state says that it takes, which is what a broker
 * is charged with, beside what the heap has given; and how long the full manifest is that says all of it. The limit is
 * the two SHA-256 of each object, which nothing else tells.
 *
 * The objects are segments of 16 MiB with random hashes in 100 partitions. Nothing is put anywhere.
 */
#include "lib/bench.h"

#include <core/rng.h>
#include <malloc.h>
#include <stdio.h>
#include <store/archive_state.h>

#define PARTITIONS 100
#define BATCHES 256u
#define SEGMENT_LEN (16ull << 20)

static const uint32_t counts[] = {1000, 10000, 100000, 1000000};

static void some_hash(struct el_rng *rng, uint8_t hash[32])
{
    for (int i = 0; i < 32; i += 8) {
        el_put_le64(hash + i, el_rng_next(rng));
    }
}

static const struct el_uuid topic_id = {.bytes = {7}};

static void put_partitions(struct el_buffer *out, uint64_t segments)
{
    struct el_manifest_topic topic = {.id = topic_id, .partition_count = PARTITIONS, .name = el_slice_str("events")};
    el_manifest_topic_put(out, &topic);
    for (int32_t i = 0; i < PARTITIONS; i++) {
        struct el_manifest_partition p = {.topic_id = topic_id,
                                          .partition = i,
                                          .end_offset = (int64_t)(segments * BATCHES * 100),
                                          .tree = {.size = segments * BATCHES}};
        el_manifest_partition_put(out, &p);
    }
}

/* The full manifest of an archive with so many objects. */
static void make_manifest(struct el_buffer *out, uint32_t count)
{
    struct el_rng rng;
    struct el_manifest_header header = {.kind = EL_MANIFEST_FULL, .sequence = 1, .full_sequence = 1};
    uint64_t front = EL_PACK_HEADER_LEN + EL_PACK_PART_LEN;
    el_rng_seed(&rng, 1);
    header.incarnation.bytes[0] = 1;
    el_manifest_begin(out);
    el_manifest_tree_put(out, &(struct el_frontier){.size = 0});
    put_partitions(out, count / PARTITIONS);
    for (uint32_t i = 0; i < count; i++) {
        struct el_manifest_object o = {.number = i + 1,
                                       .kind = EL_PACK_SEGMENT,
                                       .state = EL_OBJECT_LIVE,
                                       .part_count = 1,
                                       .topic_id = topic_id,
                                       .partition = (int32_t)(i % PARTITIONS),
                                       .sequence = (uint64_t)(i / PARTITIONS) * BATCHES * 100,
                                       .len = front + BATCHES * EL_PACK_BATCH_LEN + SEGMENT_LEN};
        some_hash(&rng, o.sha256);
        el_manifest_object_put(out, &o);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct el_archive_part part = {.topic_id = topic_id,
                                       .partition = (int32_t)(i % PARTITIONS),
                                       .batch_count = BATCHES,
                                       .first_offset = (int64_t)(i / PARTITIONS) * BATCHES * 100,
                                       .end_offset = (int64_t)(i / PARTITIONS + 1) * BATCHES * 100,
                                       .first_leaf = (uint64_t)(i / PARTITIONS) * BATCHES,
                                       .object = i + 1,
                                       .table_pos = front,
                                       .data_pos = front + BATCHES * EL_PACK_BATCH_LEN,
                                       .data_len = SEGMENT_LEN};
        some_hash(&rng, part.table_sha256);
        el_manifest_part_put(out, &part);
    }
    if (el_manifest_seal(out, &header) != 0) {
        bench_die("a manifest");
    }
}

static size_t heap_len(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void measure(uint32_t count)
{
    struct el_buffer manifest = {0};
    struct el_error err = {0};
    make_manifest(&manifest, count);
    size_t before = heap_len();
    struct archive_state *state = archive_state_new();
    uint64_t begin_ns = bench_now_ns();
    if (state == NULL || archive_state_apply(state, manifest.data, manifest.len, &err) != 0) {
        bench_die("%s", err.text);
    }
    double seconds = (double)(bench_now_ns() - begin_ns) / 1e9;
    double said = (double)archive_state_memory(state), heap = (double)(heap_len() - before);
    printf("%8u %9.1f %9.1f %9.1f %9.1f %9.2f\n", count, said / count, heap / count, 64.0, (double)manifest.len / count,
           seconds);
    archive_state_free(state);
    el_buffer_free(&manifest);
}

int main(int argc, char **argv)
{
    struct bench_options options;
    bench_options_parse(&options, argc, argv, "memory to know an archive, bytes for each object");
    printf(" objects     state      heap    hashes  manifest  apply s\n");
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        measure(counts[i]);
    }
    return 0;
}
