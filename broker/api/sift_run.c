/* SPDX-License-Identifier: Apache-2.0
 *
 * Which batches of a read hold a record that is wanted.
 *
 * A run ends early when its patterns have cost enough, so that others get a turn of the worker: behind the batch at
 * hand when that one is kept, else behind the record at hand. What is not looked at is read again.
 */
#include <api/sift.h>

#include <core/alloc.h>

#define STEPS_MAX (1u << 20)  /* of patterns in one run; the last record may go beyond */
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

struct run {
    const struct sift *sift;
    void *scratch;
    uint64_t steps; /* of patterns so far */
    int64_t next;   /* once they are spent: all below it has been looked at */
    struct inflate inflate;
};

static bool run_spent(const struct run *run)
{
    return run->steps >= STEPS_MAX;
}

/* Records of a batch that are wanted, with a pattern 1 for any; 1 when that cannot be known. */
static uint32_t batch_matched(struct run *run, struct el_slice batch)
{
    const struct sift *sift = run->sift;
    struct el_batch_iter iter;
    struct el_batch_record record;
    uint32_t matched = 0;
    int more = batch_open(&iter, batch, &run->inflate);
    run->next = el_batch_last_offset(batch.data) + 1;
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
        enum el_pattern_verdict verdict = el_sieve_match(sift->sieve, &record.record, run->scratch, &run->steps);
        matched += verdict == EL_PATTERN_MATCH || verdict == EL_PATTERN_TOO_MANY_STEPS;
        if (matched > 0 && sift->sieve->pattern != NULL) {
            return 1; /* the batch is kept whole, and nobody counts */
        }
        if (run_spent(run)) {
            run->next = EL_MIN(run->next, record.offset + 1);
            return 0;
        }
    }
    return more < 0 ? EL_MAX(matched, 1u) : matched;
}

void sift_run(struct sift *sift, void *scratch, size_t scratch_len)
{
    struct read_op *read = sift->read;
    struct run run = {.sift = sift, .scratch = scratch};
    uint32_t kept = 0, pos = 0;
    EL_ASSERT(scratch_len >= el_sieve_scratch_len(sift->sieve));
    sift->matched = 0;
    for (uint32_t i = 0; i < read->entry_count && !run_spent(&run); i++) {
        struct read_entry entry = read->entries[i];
        EL_ASSERT(entry.pos >= pos);
        EL_ASSERT(entry.len <= read->data_len - entry.pos);
        if (el_batch_last_offset(read->data + entry.pos) < sift->next) {
            continue;
        }
        uint32_t matched = batch_matched(&run, el_slice_of(read->data + entry.pos, entry.len));
        if (matched == 0) {
            continue;
        }
        sift->matched += matched;
        memmove(read->data + pos, read->data + entry.pos, entry.len);
        entry.pos = pos;
        EL_ASSERT(kept <= i); /* what is looked at next is not overwritten */
        read->entries[kept++] = entry;
        pos += entry.len;
    }
    sift->found_count = kept;
    sift->found_len = pos;
    if (run_spent(&run)) {
        EL_ASSERT(run.next > sift->next);
        read->next_offset = EL_MIN(read->next_offset, run.next);
    }
    el_free(run.inflate.memory);
}
