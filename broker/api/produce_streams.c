/* SPDX-License-Identifier: Apache-2.0
 *
 * See produce_streams.h.
 */
#include <api/produce_streams.h>

#include <config/topic_partitioner.h>
#include <core/limits.h>

struct produce_streams *produce_streams_new(struct api *api, struct request *request, const struct topic *topic,
                                            int32_t partition)
{
    struct produce_streams *ps = el_arena_zalloc(&request->arena, sizeof *ps);
    if (ps != NULL) {
        ps->secret = streams_secret(api->streams);
        ps->config = topic->config;
        ps->partition = partition;
        ps->partition_count = topic->partition_count;
        ps->batch.failed_index = -1;
    }
    return ps;
}

size_t produce_streams_room(const struct el_batch_info *info, size_t records_len)
{
    size_t count = (size_t)EL_MIN(EL_MAX(info->record_count, 0), (int32_t)EL_STREAM_RECORDS_MAX);
    return count * sizeof(struct stream_record) + records_len + 64;
}

int produce_streams_make(struct produce_streams *ps, struct el_slice batch, void *scratch, size_t scratch_len,
                         struct el_arena *arena)
{
    return stream_batch_make(ps->secret, batch.data, batch.len, scratch, scratch_len, arena, false, &ps->batch,
                             &ps->why);
}

/* Has this record the key of the one before it, in the same place? */
static bool key_shared(const struct stream_record *records, uint32_t i)
{
    struct el_slice key = records[i].key_bytes;
    return i > 0 && key.len > 0 && key.data == records[i - 1].key_bytes.data;
}

int produce_streams_keep(struct produce_streams *ps, struct el_arena *arena)
{
    struct stream_batch *batch = &ps->batch;
    size_t key_len = 0;
    for (uint32_t i = 0; i < batch->record_count; i++) {
        key_len += key_shared(batch->records, i) ? 0 : batch->records[i].key_bytes.len;
    }
    struct stream_record *records = el_arena_alloc(arena, EL_MAX(batch->record_count, 1u) * sizeof *records);
    uint8_t *keys = el_arena_alloc(arena, EL_MAX(key_len, (size_t)1));
    if (records == NULL || keys == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    const uint8_t *keys_end = keys + key_len;
    memcpy(records, batch->records, batch->record_count * sizeof *records);
    for (uint32_t i = 0; i < batch->record_count; i++) {
        struct el_slice *key = &records[i].key_bytes;
        if (key_shared(batch->records, i)) {
            key->data = records[i - 1].key_bytes.data;
        } else if (key->len > 0) {
            EL_ASSERT(key->len <= (size_t)(keys_end - keys));
            memcpy(keys, key->data, key->len);
            key->data = keys;
            keys += key->len;
        } else {
            key->data = key->data == NULL ? NULL : keys;
        }
    }
    EL_ASSERT(keys == keys_end);
    batch->records = records;
    return 0;
}

int produce_streams_place(const struct produce_streams *ps, struct request *request, int32_t *index,
                          struct el_slice *message)
{
    for (uint32_t i = 0; i < ps->batch.record_count; i++) {
        const struct stream_record *record = &ps->batch.records[i];
        if ((record->flags & STREAM_RECORD_KEY) == 0) {
            continue;
        }
        *index = (int32_t)i;
        if (record->key_bytes.len == 0) {
            *message = el_slice_str(
                "the key is empty: a stream has a key of at least one byte; or send it without key");
            return EVLOG_ERR_INVALID_RECORD;
        }
        int32_t partition = topic_partition_of(&ps->config, record->key_bytes, ps->partition_count);
        if (partition != ps->partition) {
            char key[STREAM_KEY_TEXT_LEN];
            *message = api_textf(request,
                                 "key %s belongs to partition %d of this topic, and came to %d "
                                 "(evlog.key.partitioner): set %s",
                                 stream_key_text(key, record->key_bytes), partition, ps->partition,
                                 topic_partitioner_hint(&ps->config));
            return EVLOG_ERR_INVALID_RECORD;
        }
    }
    *index = -1;
    return 0;
}

static struct el_slice conflict_text(const struct produce_streams *ps, struct request *request, int error)
{
    EL_ASSERT((uint32_t)ps->batch.failed_index < ps->batch.record_count);
    const struct stream_record *record = &ps->batch.records[ps->batch.failed_index];
    char key[STREAM_KEY_TEXT_LEN], state[STREAM_STATE_TEXT_LEN], expected[STREAM_STATE_TEXT_LEN];
    stream_key_text(key, record->key_bytes);
    if (error == EVLOG_ERR_STREAM_ENDED) {
        return api_textf(request, "stream %s was deleted for good: use another key", key);
    }
    if (error == EVLOG_ERR_ID_CONFLICT) {
        return record->offset >= 0
                   ? api_textf(request,
                               "stream %s has the event with this ce_id already (version %lld), but not all events of "
                               "the batch: send again exactly what was sent the first time",
                               key, (long long)record->version)
                   : api_textf(request, "stream %s: this ce_id comes twice in the batch", key);
    }
    return api_textf(request, "stream %s is %s, and %s was expected: read it again and decide anew", key,
                     stream_state_text(state, &ps->batch.told), stream_expected_text(expected, record->expected));
}

struct el_slice produce_streams_refusal(const struct produce_streams *ps, struct request *request, int error,
                                        int32_t *index)
{
    bool conflict = error == EVLOG_ERR_WRONG_VERSION || error == EVLOG_ERR_ID_CONFLICT ||
                    error == EVLOG_ERR_STREAM_ENDED;
    if (conflict && ps->batch.failed_index >= 0) {
        *index = ps->batch.failed_index;
        return conflict_text(ps, request, error);
    }
    if (ps->why != NULL && error == EVLOG_ERR_INVALID_RECORD) {
        *index = ps->batch.failed_index;
        return el_slice_str(ps->why);
    }
    return ps->why != NULL && error == EVLOG_ERR_TOO_LARGE ? el_slice_str(ps->why) : (struct el_slice){0};
}
