/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of streams packed into blocks: include/format/index_layout.h. A name is told by how it differs from the one
 * before it in its block, the first from slot 0 and no bytes:
 *   uvarint difference of the slots; uvarint bytes shared with the key before; uvarint bytes that follow; those bytes;
 *   in index blocks: u32 number of the block that begins with it
 */
#include <format/index_layout.h>

#include <core/assert.h>
#include <core/cursor.h>
#include <evlog/error.h>

#define NAME_LEN_MAX (5u + 3 + 3 + EL_RUN_NAME_KEY_MAX + 4)
EL_STATIC_ASSERT(3 * NAME_LEN_MAX <= EL_RUN_NAME_LEN - EL_RUN_BLOCK_HEADER_LEN, "a tree of names branches");

int el_name_compare(uint32_t slot_a, struct el_slice a, uint32_t slot_b, struct el_slice b)
{
    if (slot_a != slot_b) {
        return slot_a < slot_b ? -1 : 1;
    }
    size_t len = EL_MIN(a.len, b.len);
    int order = len == 0 ? 0 : memcmp(a.data, b.data, len);
    return order != 0 ? order : a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
}

static uint32_t shared_prefix(const uint8_t *a, uint32_t a_len, struct el_slice b)
{
    uint32_t n = 0;
    while (n < a_len && n < b.len && a[n] == b.data[n]) {
        n++;
    }
    return n;
}

void el_name_packer_init(struct el_name_packer *k, uint8_t *items, size_t len, bool index)
{
    k->p = items;
    k->end = items + len;
    k->index = index;
    k->count = 0;
    k->slot = 0;
    k->key_len = 0;
}

bool el_name_pack(struct el_name_packer *k, uint32_t slot, struct el_slice key, uint32_t block)
{
    struct el_writer w;
    EL_ASSERT(key.len <= EL_RUN_NAME_KEY_MAX);
    EL_DEBUG_ASSERT(k->count == 0 || el_name_compare(k->slot, el_slice_of(k->key, k->key_len), slot, key) < 0);
    uint32_t shared = slot == k->slot ? shared_prefix(k->key, k->key_len, key) : 0;
    uint32_t rest_len = (uint32_t)key.len - shared;
    const uint8_t *rest = rest_len == 0 ? NULL : key.data + shared;
    el_writer_init(&w, k->p, (size_t)(k->end - k->p));
    el_write_uvarint(&w, slot - k->slot);
    el_write_uvarint(&w, shared);
    el_write_uvarint(&w, rest_len);
    el_write_bytes(&w, rest, rest_len);
    if (k->index) {
        el_write_le32(&w, block);
    }
    if (w.err != 0) {
        memset(k->p, 0, (size_t)(k->end - k->p)); /* what there was room for */
        return false;
    }
    k->p = w.p;
    k->slot = slot;
    k->key_len = (uint32_t)key.len;
    if (rest_len > 0) {
        memcpy(k->key + shared, rest, rest_len);
    }
    k->count++;
    return true;
}

void el_name_unpacker_init(struct el_name_unpacker *u, const uint8_t *items, size_t len, uint16_t count, bool index)
{
    u->p = items;
    u->end = items + len;
    u->index = index;
    u->left = count;
    u->slot = 0;
    u->block = 0;
    u->key_len = 0;
}

/* Is the name above the one before, of which it takes `shared` bytes? */
static bool rises(const struct el_name_unpacker *u, uint32_t shared, const uint8_t *rest, uint32_t rest_len)
{
    if (rest_len == 0 || shared > u->key_len) {
        return false;
    }
    return shared == u->key_len || rest[0] > u->key[shared];
}

int el_name_unpack(struct el_name_unpacker *u)
{
    if (u->left == 0) {
        return 0;
    }
    struct el_reader r;
    el_reader_init(&r, u->p, (size_t)(u->end - u->p));
    uint32_t more = el_read_uvarint(&r), shared = el_read_uvarint(&r), rest_len = el_read_uvarint(&r);
    const uint8_t *rest = el_read_bytes(&r, rest_len);
    uint32_t block = u->index ? el_read_le32(&r) : 0;
    if (r.err != 0 || more > UINT32_MAX - u->slot || shared > EL_RUN_NAME_KEY_MAX ||
        rest_len > EL_RUN_NAME_KEY_MAX - shared) {
        return EVLOG_ERR_CORRUPT;
    }
    if (more > 0 ? shared != 0 : u->slot == 0 || !rises(u, shared, rest, rest_len)) {
        return EVLOG_ERR_CORRUPT;
    }
    if (rest_len > 0) {
        memcpy(u->key + shared, rest, rest_len);
    }
    u->slot += more;
    u->key_len = shared + rest_len;
    u->block = block;
    u->p = r.p;
    u->left--;
    return 1;
}
