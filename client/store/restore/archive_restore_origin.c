/* SPDX-License-Identifier: Apache-2.0
 *
 * What a restored directory knows of its origin: archive/signed (docs/format.md section 15.7) with the draft of the
 * first manifest of an archive that continues. It states where partitions go on, and the root that they are from.
 */
#include "archive_restore_state.h"

#include <core/assert.h>
#include <core/crypto.h>
#include <time.h>

#define SIGNED_HEAD_LEN 96u
#define SIGNED_FORMAT 1u

static void put_topics(struct restore *r, const struct archive_state *state, struct el_buffer *out)
{
    for (size_t i = 0; i < state->topics.count; i++) {
        const struct archive_topic *topic = state->topics.entries[i].value;
        bool wanted = el_uuid_eq(&topic->now.id, &EL_CATALOGUE_TOPIC_ID);
        for (size_t k = 0; k < r->topic_count && !wanted; k++) {
            wanted = r->topics[k].wanted && el_uuid_eq(&r->topics[k].id, &topic->now.id);
        }
        if (wanted) {
            struct el_manifest_topic now = topic->now;
            now.deleted = false; /* it was not, at the time */
            el_manifest_topic_put(out, &now);
        }
    }
}

static void put_partition(struct el_buffer *out, const struct el_uuid *topic_id, int32_t partition, int64_t end,
                          int64_t log_start)
{
    el_manifest_partition_put(out, &(struct el_manifest_partition){.topic_id = *topic_id,
                                                                   .partition = partition,
                                                                   .start_offset = end,
                                                                   .end_offset = end,
                                                                   .log_start = EL_MIN(log_start, end)});
}

static int make_draft(struct restore *r, struct el_buffer *out)
{
    const struct archive_root *root = archive_reader_root(r->reader);
    struct el_frontier none = {0};
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    el_manifest_begin(out);
    el_manifest_tree_put(out, &none);
    put_topics(r, archive_reader_state(r->reader), out);
    put_partition(out, &EL_CATALOGUE_TOPIC_ID, 0, r->meta_end, 0);
    for (size_t i = 0; i < r->part_count; i++) {
        const struct restore_part *part = &r->parts[i];
        if (part->end_offset >= 0) {
            put_partition(out, &part->topic_id, part->partition, part->end_offset, part->log_start);
        }
    }
    struct el_manifest_header header = {.kind = EL_MANIFEST_FULL,
                                        .incarnation = r->incarnation,
                                        .sequence = 1,
                                        .full_sequence = 1,
                                        .made_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000,
                                        .parent = root->incarnation,
                                        .parent_sequence = root->sequence,
                                        .leader_epoch = r->leader_epoch};
    memcpy(header.parent_root, root->hash.bytes, sizeof header.parent_root);
    return el_manifest_seal(out, &header);
}

int restore_origin(struct restore *r, struct el_error *err)
{
    struct el_buffer draft = {0}, file = {0};
    struct el_sha256 ctx;
    uint8_t head[SIGNED_HEAD_LEN] = {'E', 'V', 'L', 'O', 'G', 'S', 'G', 'D'};
    int code = make_draft(r, &draft);
    el_put_le32(head + 8, SIGNED_FORMAT);
    memcpy(head + 16, r->incarnation.bytes, 16);
    el_put_le64(head + 48, draft.len);
    el_sha256_begin(&ctx);
    el_sha256_add(&ctx, head, 56);
    el_sha256_add(&ctx, draft.data, draft.len);
    el_sha256_end(&ctx, head + 56);
    el_buffer_append(&file, head, sizeof head);
    el_buffer_append(&file, draft.data, draft.len);
    code = code != 0 ? code : file.err;
    if (code != 0) {
        (void)el_error_set(err, code, "no memory for what the directory is from");
    }
    code = code != 0 ? code : new_dir_folder(r->dir, "archive", err);
    code = code != 0 ? code : new_dir_file(r->dir, "archive", "signed", el_buffer_slice(&file), err);
    el_buffer_free(&draft);
    el_buffer_free(&file);
    return code;
}
