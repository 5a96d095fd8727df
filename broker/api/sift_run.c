/* SPDX-License-Identifier: Apache-2.0
 *
 * Which batches of a read hold a record that is wanted.
 */
#include <api/sift.h>

#include <core/alloc.h>

#define SMALL_LEN (32u << 10) /* of a read that is looked at on the shard, uncompressed and without patterns */

bool sift_is_small(const struct sift *sift)
{
    const struct read_op *read = sift->read;
    if (read->data_len > SMALL_LEN || sift->sieve->pattern != NULL) {
        return false;
    }
    for (uint32_t i = 0; i < read->entry_count; i++) {
        struct el_batch_info info;
        const struct read_entry *entry = &read->entries[i];
        if (el_batch_header(read->data + entry->pos, entry->len, &info) == 0 && info.codec != EL_CODEC_NONE) {
            return false;
        }
    }
    return true;
}

/* What a run takes from the heap, on a worker. */
struct inflate {
    uint8_t *memory;
    size_t len;
};

static int batch_open(struct el_batch_iter *iter, struct el_slice batch, struct inflate *inflate)
{
    int code = el_batch_open(iter, batch.data, batch.len, inflate->memory, inflate->len);
    while (code == EVLOG_ERR_NO_MEMORY && iter->info.scratch_len_wanted > inflate->len) {
        size_t wanted = EL_MIN(iter->info.scratch_len_wanted, (size_t)EL_BATCH_OUTPUT_MAX);
        el_free(inflate->memory);
        inflate->memory = el_malloc(wanted);
        inflate->len = inflate->memory == NULL ? 0 : wanted;
        if (inflate->memory == NULL) {
            break;
        }
        code = el_batch_open(iter, batch.data, batch.len, inflate->memory, inflate->len);
    }
    return code;
}

/* Records of a batch that are wanted; 1 when that cannot be known. */
static uint32_t batch_matched(const struct sift *sift, struct el_slice batch, void *scratch, struct inflate *inflate)
{
    struct el_batch_iter iter;
    struct el_batch_record record;
    uint32_t matched = 0;
    int more = batch_open(&iter, batch, inflate);
    if (more != 0) {
        return 1;
    }
    if ((iter.info.attributes & EL_BATCH_ATTR_CONTROL) != 0) {
        return 0;
    }
    while ((more = el_batch_next(&iter, &record)) == 1) {
        if (record.offset < sift->next) {
            continue;
        }
        enum el_pattern_verdict verdict = el_sieve_match(sift->sieve, &record.record, scratch);
        matched += verdict == EL_PATTERN_MATCH || verdict == EL_PATTERN_TOO_MANY_STEPS;
    }
    return more < 0 ? EL_MAX(matched, 1u) : matched;
}

void sift_run(struct sift *sift, void *scratch, size_t scratch_len)
{
    struct read_op *read = sift->read;
    struct inflate inflate = {NULL, 0};
    uint32_t kept = 0, pos = 0;
    EL_ASSERT(scratch_len >= el_sieve_scratch_len(sift->sieve));
    sift->matched = 0;
    for (uint32_t i = 0; i < read->entry_count; i++) {
        struct read_entry entry = read->entries[i];
        EL_ASSERT(entry.pos >= pos);
        EL_ASSERT(entry.len <= read->data_len - entry.pos);
        if (el_batch_last_offset(read->data + entry.pos) < sift->next) {
            continue;
        }
        uint32_t matched = batch_matched(sift, el_slice_of(read->data + entry.pos, entry.len), scratch, &inflate);
        if (matched == 0) {
            continue;
        }
        sift->matched += matched;
        memmove(read->data + pos, read->data + entry.pos, entry.len);
        entry.pos = pos;
        read->entries[kept++] = entry;
        pos += entry.len;
    }
    sift->found_count = kept;
    sift->found_len = pos;
    el_free(inflate.memory);
}
