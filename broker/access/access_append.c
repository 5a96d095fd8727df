/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of __evlog_access as they are appended: sealed by the first key. Shard 0.
 */
#include <access/access_state.h>

#define NS_PER_MS 1000000u

size_t access_put_len_max(const struct access_record *record)
{
    return el_access_sealed_name_len(record->key.len) + EL_ACCESS_SEALED_VALUE_LEN + ACCESS_RECORD_OVERHEAD;
}

static void put(struct access *home, struct el_batch_builder *builder, struct el_slice name, struct el_slice value)
{
    struct el_record_body body = {.key = name, .value = value};
    int code = el_batch_builder_add(builder, (int64_t)(io_wall(home->io) / NS_PER_MS), &body);
    EL_ASSERT(code == 0); /* there is room */
}

int access_put(struct access *home, struct el_batch_builder *builder, const struct access_record *record)
{
    const struct el_access_key *key = &home->keys->keys.keys[0];
    uint8_t name[EL_ACCESS_SEALED_NAME_MAX], value[EL_ACCESS_SEALED_VALUE_LEN], nonce[EL_AEAD_NONCE_LEN];
    struct el_slice sealed = el_slice_of(name, el_access_sealed_name_len(record->key.len));
    EL_ASSERT(home->keys->keys.count > 0);
    EL_ASSERT(!home->keys->unsaved); /* nothing is sealed by a key that a crash could take away */
    int code = el_access_seal_name(key, record->key, name);
    if (code != 0 || record->value.data == NULL) {
        if (code == 0) {
            put(home, builder, sealed, (struct el_slice){0});
        }
        return code;
    }
    io_random(home->io, nonce, sizeof nonce);
    code = el_access_seal_value(key, sealed, nonce, record->value, value);
    if (code == 0) {
        put(home, builder, sealed, el_slice_of(value, sizeof value));
    }
    return code;
}

void access_put_end(struct access *home, struct el_batch_builder *builder, struct el_slice name)
{
    put(home, builder, name, (struct el_slice){0});
}

void access_append(struct access *home, const struct topic *topic, struct el_slice batch,
                   void (*done)(struct store_op *base))
{
    EL_ASSERT(batch.data == home->batch);
    home->append = (struct append_op){
        .base = {.done = done, .arg = home},
        .topic_id = topic->id,
        .partition = 0,
        .batch = batch.data,
        .batch_len = (uint32_t)batch.len,
    };
    int code = el_batch_check(batch.data, batch.len, EL_BATCH_LEN_MAX, NULL, 0, &home->append.info);
    EL_ASSERT(code == 0);
    home->busy++;
    store_append(home->shard, &home->append);
}

void access_append_end(struct access *home)
{
    EL_ASSERT(home->busy > 0);
    home->busy--;
    el_buddy_free(home->buddy, home->batch);
    home->batch = NULL;
}
