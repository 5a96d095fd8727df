/* SPDX-License-Identifier: Apache-2.0
 *
 * An archive in whatever store the driver has opened.
 */
#include "../lib/archive_builder.h"
#include "store_driver.h"

#include <core/assert.h>
#include <store/archive_verify.h>

#define PARTITIONS 2
#define ROUNDS 3
#define BATCHES 4 /* of each partition in a round */

static void make(struct object_store *store, struct el_private_key *key)
{
    struct archive_builder *b = archive_builder_open(
        store, &(struct archive_build){.seed = 3, .keys = (struct el_private_key *const[]){key}, .key_count = 1});
    archive_builder_topic(b, "orders", PARTITIONS);
    for (int round = 0; round < ROUNDS; round++) {
        for (int32_t partition = 0; partition < PARTITIONS; partition++) {
            archive_builder_append(b, "orders", partition, BATCHES);
        }
        if (round > 0) {
            archive_builder_segment(b, "orders", 0);
        }
        archive_builder_round(b);
    }
    archive_builder_close(b);
}

static int read_partition(struct archive_reader *reader, int32_t partition, uint32_t *count, struct el_error *err)
{
    struct el_uuid topic_id = archive_builder_topic_id("orders");
    struct archive_batches batches = {.rows = NULL};
    int rc = 0;
    do {
        rc = archive_reader_read(reader, &topic_id, partition, batches.next_offset, 1, &batches, err);
        *count += rc == 0 ? batches.count : 0;
    } while (rc == 0 && batches.count > 0);
    archive_batches_free(&batches);
    return rc;
}

/* Every byte of it, by two threads. returns 0 | EVLOG_ERR_CORRUPT | what the store says */
static int verify(struct object_store *store, const struct el_public_key *pub, struct el_error *err)
{
    struct archive_report report;
    int rc = archive_verify(
        store, &(struct archive_verify_options){.keys = pub, .key_count = 1, .deep = true, .threads = 2}, &report, err);
    if (rc == 0 && !report.proven) {
        rc = el_error_set(err, EVLOG_ERR_CORRUPT, "%s: %s", report.findings[0].object, report.findings[0].text);
    }
    archive_report_free(&report);
    return rc;
}

int driver_archive(struct object_store *store, struct el_buffer *words, struct el_error *err)
{
    struct el_private_key *key;
    struct el_public_key pub;
    struct archive_reader *reader;
    uint32_t count = 0;
    int rc = el_private_key_make(EL_SIGN_ED25519, &key, err);
    EL_ASSERT(rc == 0);
    el_private_key_public(key, &pub);
    make(store, key);
    el_private_key_free(key);
    rc = archive_reader_open(store, &(struct archive_reader_options){.keys = &pub, .key_count = 1}, &reader, err);
    if (rc != 0) {
        return rc;
    }
    for (int32_t partition = 0; rc == 0 && partition < PARTITIONS; partition++) {
        rc = read_partition(reader, partition, &count, err);
    }
    rc = rc == 0 ? verify(store, &pub, err) : rc;
    el_buffer_printf(words, " %llu %u %d", (unsigned long long)archive_reader_root(reader)->sequence, count,
                     PARTITIONS * ROUNDS * BATCHES);
    archive_reader_close(reader);
    return rc;
}
