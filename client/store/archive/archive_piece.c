/* SPDX-License-Identifier: Apache-2.0
 *
 * Parts of a partition one after the other, over all incarnations: which object holds one, and what its table says.
 */
#include "archive_internal.h"

#define PARENTS_MAX 64u

struct found {
    struct archive_reader *at; /* of the incarnation */
    struct el_archive_part part;
    int64_t limit; /* batches from here on are another incarnation's */
};

/* The part that holds offset, or the next one; at NULL: there is none. */
static int find(struct archive_reader *r, const struct el_uuid *topic_id, int32_t partition, int64_t offset,
                struct found *found, struct el_error *err)
{
    const struct archive_partition *chain[PARENTS_MAX];
    struct archive_reader *readers[PARENTS_MAX], *at = r;
    uint32_t depth = 0;
    char place[ARCHIVE_PLACE_MAX];
    while (at != NULL && depth < PARENTS_MAX) {
        const struct archive_partition *p = archive_state_partition(at->state, topic_id, partition);
        if (p == NULL) {
            break;
        }
        readers[depth] = at;
        chain[depth++] = p;
        if (offset >= p->now.start_offset) {
            break;
        }
        int code = archive_reader_parent(at, &at, err);
        if (code != 0) {
            return code;
        }
    }
    if (depth == 0) {
        return el_error_set(err, EVLOG_ERR_UNKNOWN_TOPIC, "the archive has nothing of %s",
                            archive_place(place, topic_id, partition));
    }
    while (depth-- > 0) {
        int64_t limit = depth == 0 ? INT64_MAX : chain[depth - 1]->now.start_offset;
        struct el_archive_part part;
        if (archive_partition_part(chain[depth], offset, &part) && part.first_offset < limit) {
            *found = (struct found){.at = readers[depth], .part = part, .limit = limit};
            return 0;
        }
    }
    found->at = NULL;
    return 0;
}

int archive_reader_piece(struct archive_reader *r, const struct el_uuid *topic_id, int32_t partition, int64_t offset,
                         struct archive_piece *piece, struct el_error *err)
{
    struct found found;
    int code = find(r, topic_id, partition, offset, &found, err);
    *piece = (struct archive_piece){.first_offset = -1};
    if (code != 0 || found.at == NULL) {
        return code;
    }
    struct archive_object object;
    bool known = archive_state_object(found.at->state, found.part.object, &object);
    EL_ASSERT(known); /* a part that counts has a live one */
    *piece = (struct archive_piece){.first_offset = found.part.first_offset,
                                    .end_offset = EL_MIN(found.part.end_offset, found.limit),
                                    .data_len = found.part.data_len,
                                    .incarnation = found.at->root.incarnation,
                                    .object = object.now};
    el_archive_key_object(piece->key, &found.at->root.incarnation, &object.now);
    return 0;
}

int archive_reader_newest(struct archive_reader *r, const struct el_uuid *topic_id, int32_t partition, int64_t offset,
                          int64_t end_offset, struct archive_newest *out, struct el_error *err)
{
    struct found found;
    const uint8_t *rows = NULL;
    *out = (struct archive_newest){.first_offset = -1, .next_offset = end_offset};
    int code = find(r, topic_id, partition, offset, &found, err);
    if (code != 0 || found.at == NULL) {
        return code;
    }
    code = archive_table_get(found.at, &found.part, &rows, err);
    if (code != 0) {
        return code;
    }
    out->next_offset = EL_MIN(found.part.end_offset, found.limit);
    for (uint32_t i = 0; i < found.part.batch_count; i++) {
        struct el_pack_batch row;
        code = el_pack_batch_get(rows + (size_t)i * EL_PACK_BATCH_LEN, &row);
        EL_ASSERT(code == 0); /* the table was checked */
        bool in_range = el_pack_batch_end(&row) > offset && row.leaf.first_offset < EL_MIN(end_offset, found.limit);
        if (in_range && !row.redacted && (out->first_offset < 0 || row.leaf.max_timestamp_ms > out->time_ms)) {
            out->time_ms = row.leaf.max_timestamp_ms;
            out->first_offset = row.leaf.first_offset;
            out->leader_epoch = row.leaf.leader_epoch;
        }
    }
    return 0;
}
