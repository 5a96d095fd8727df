/* SPDX-License-Identifier: Apache-2.0
 *
 * Manifests read from a damaged or hostile bucket: a full one, and behind it deltas in the same input, as they are, and
 * with lengths, counts, hashes and trees put right, since a mutation hardly ever keeps those:
 *
 *   1. whatever is applied leaves a state that keeps the rules: parts by leaf without a hole, each in a live object;
 *   2. such a state written as a full manifest is read again, and says the same.
 */
#include <core/assert.h>
#include <core/crypto.h>
#include <evlog/error.h>
#include <stdlib.h>
#include <store/archive_state.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_state(const struct archive_state *state)
{
    uint64_t part_count = 0, counted = 0;
    for (size_t i = 0; i < state->partitions.count; i++) {
        const struct archive_partition *p = state->partitions.entries[i].value;
        uint64_t leaf = p->retired->tree.size;
        int64_t offset = EL_MAX(p->now.start_offset, p->retired->end_offset);
        for (uint32_t k = 0; k < p->part_count; k++) {
            const struct el_archive_part part = archive_part_at(p, k);
            struct archive_object o;
            bool known = archive_state_object(state, part.object, &o);
            EL_ASSERT(part.first_leaf == leaf);
            EL_ASSERT(part.first_offset >= offset);
            EL_ASSERT(known);
            EL_ASSERT(o.now.state == EL_OBJECT_LIVE);
            leaf = el_archive_part_leaf_end(&part);
            offset = part.end_offset;
        }
        EL_ASSERT(leaf == p->now.tree.size);
        EL_ASSERT(offset <= p->now.end_offset);
        part_count += p->part_count;
    }
    for (size_t i = 0; i < state->object_count; i++) {
        const struct archive_object o = archive_object_at(state, i);
        EL_ASSERT((o.now.state == EL_OBJECT_LIVE) == (o.part_count > 0));
        counted += o.part_count;
    }
    EL_ASSERT(part_count == counted);
}

static void check_again(struct archive_state *state)
{
    struct el_buffer full = {0};
    struct archive_state *again = archive_state_new();
    EL_ASSERT(again != NULL);
    EL_ASSERT(archive_state_to_full(state, &full) == 0);
    EL_ASSERT(archive_state_apply(again, full.data, full.len, NULL) == 0);
    check_state(again);
    EL_ASSERT(archive_state_full_len(state) >= full.len);
    EL_ASSERT(again->object_count == state->object_count);
    EL_ASSERT(again->key_count == state->key_count);
    EL_ASSERT(again->redaction_count == state->redaction_count);
    EL_ASSERT(memcmp(again->sha256, state->sha256, 32) == 0);
    EL_ASSERT(archive_state_continues(state, again, NULL) == 0);
    EL_ASSERT(archive_state_continues(again, state, NULL) == 0);
    archive_state_free(again);
    el_buffer_free(&full);
}

/* Length of the manifest at p, as far as its records go, at most len; and their number. */
static size_t measure(const uint8_t *p, size_t len, uint32_t *count)
{
    struct el_manifest_record record;
    size_t pos = EL_MANIFEST_HEADER_LEN;
    *count = 0;
    while (pos < len && el_manifest_next(p, len, &pos, &record) == 1) {
        (*count)++;
        if (pos + 8 <= len && memcmp(p + pos, "EVLOGMAN", 8) == 0) {
            break;
        }
    }
    return pos;
}

/* Make the manifest follow the state: everything in its header and tree record but what mutations are for. */
static size_t mend(const struct archive_state *state, uint8_t *p, size_t len)
{
    uint32_t count = 0;
    size_t whole = measure(p, len, &count);
    el_put_le64(p + 152, whole - EL_MANIFEST_HEADER_LEN);
    el_put_le32(p + 164, count);
    if (state->header.sequence == 0) {
        return whole;
    }
    el_put_le64(p + 32, state->header.sequence + 1);
    memcpy(p + 16, state->header.incarnation.bytes, 16);
    memcpy(p + 64, state->sha256, 32);
    size_t tree_len = 8 + (size_t)el_frontier_count(state->tree.size) * EL_MERKLE_HASH_LEN;
    if (whole >= EL_MANIFEST_HEADER_LEN + 8 + tree_len) {
        el_put_le64(p + EL_MANIFEST_HEADER_LEN + 8, state->tree.size);
        memcpy(p + EL_MANIFEST_HEADER_LEN + 16, state->tree.hashes, tree_len - 8);
    }
    return whole;
}

static void apply_all(uint8_t *p, size_t len, bool mended)
{
    struct archive_state *state = archive_state_new();
    EL_ASSERT(state != NULL);
    while (len >= EL_MANIFEST_HEADER_LEN) {
        uint32_t count = 0;
        size_t whole = mended ? mend(state, p, len) : measure(p, len, &count);
        if (archive_state_apply(state, p, whole, NULL) != 0) {
            break;
        }
        check_state(state);
        p += whole;
        len -= whole;
    }
    if (!state->broken && state->header.sequence != 0) {
        check_again(state);
    }
    archive_state_free(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len + 1);
    EL_ASSERT(copy != NULL);
    memcpy(copy, data, len);
    apply_all(copy, len, false);
    apply_all(copy, len, true);
    free(copy);
    return 0;
}
