/* SPDX-License-Identifier: Apache-2.0
 *
 * Sealed records of users and rules from a damaged or hostile disk, and files of keys. What opens has one sealed form,
 * which is the one that it came in; what is a file of keys is written as one that reads the same.
 *
 * Input: 1 byte, bit 0 set: the value is null; bit 1: name and value are plain, and are sealed first; bit 2: the rest
 * is a file of keys   2 bytes, big-endian: length of the name   name   value
 */
#include <core/assert.h>
#include <evlog/error.h>
#include <format/access_seal.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define HEAD_LEN 3u
#define VALUE_NULL 1u
#define PLAIN 2u
#define KEYS 4u

static const uint8_t nonce[EL_AEAD_NONCE_LEN] = {1};

/* A copy of its own, so that asan sees a byte too far. */
static struct el_slice copy(const uint8_t *data, size_t len)
{
    uint8_t *bytes = malloc(len == 0 ? 1 : len);
    EL_ASSERT(bytes != NULL);
    if (len > 0) {
        memcpy(bytes, data, len);
    }
    return el_slice_of(bytes, len);
}

static void drop(struct el_slice bytes)
{
    free((void *)(uintptr_t)bytes.data);
}

static void keys_make(struct el_access_keys *keys)
{
    uint8_t secret[EL_AEAD_KEY_LEN] = {0};
    for (keys->count = 0; keys->count < 2; keys->count++) {
        secret[0] = (uint8_t)keys->count;
        el_access_key_init(&keys->keys[keys->count], secret);
    }
}

static void check_opened(const struct el_access_keys *keys, struct el_slice name, struct el_slice value,
                         const struct el_access_opened *opened)
{
    uint8_t again[EL_ACCESS_SEALED_NAME_MAX], sealed[EL_ACCESS_SEALED_VALUE_LEN];
    const struct el_access_key *key = &keys->keys[el_access_sealed_by(name, &keys->keys[0]) ? 0 : 1];
    EL_ASSERT(el_access_sealed_by(name, key));
    EL_ASSERT(opened->key.len <= EL_ACCESS_NAME_MAX);
    int code = el_access_seal_name(key, opened->key, again);
    EL_ASSERT(code == 0);
    EL_ASSERT(el_slice_eq(el_slice_of(again, el_access_sealed_name_len(opened->key.len)), name));
    EL_ASSERT((opened->value.data == NULL) == (value.data == NULL));
    if (value.data != NULL) {
        code = el_access_seal_value(key, name, value.data + 2, opened->value, sealed);
        EL_ASSERT(code == 0);
        EL_ASSERT(el_slice_eq(el_slice_of(sealed, sizeof sealed), value));
    }
}

static void check_record(const struct el_access_keys *keys, struct el_slice name, struct el_slice value)
{
    struct el_access_opened opened;
    int code = el_access_open(keys, name, value, &opened);
    EL_ASSERT(code == 0 || code == EVLOG_ERR_NOT_FOUND || code == EVLOG_ERR_CORRUPT || code == EVLOG_ERR_FORMAT);
    if (code == 0) {
        check_opened(keys, name, value, &opened);
    }
}

static void check_plain(const struct el_access_keys *keys, struct el_slice name, struct el_slice value)
{
    uint8_t sealed_name[EL_ACCESS_SEALED_NAME_MAX], sealed_value[EL_ACCESS_SEALED_VALUE_LEN];
    struct el_access_opened opened;
    struct el_slice sealed = el_slice_of(sealed_name, el_access_sealed_name_len(name.len));
    int code = el_access_seal_name(&keys->keys[1], name, sealed_name);
    EL_ASSERT(code == 0);
    code = el_access_seal_value(&keys->keys[1], sealed, nonce, value, sealed_value);
    EL_ASSERT(code == 0);
    code = el_access_open(keys, sealed, el_slice_of(sealed_value, sizeof sealed_value), &opened);
    EL_ASSERT(code == 0);
    EL_ASSERT(el_slice_eq(opened.key, name));
    EL_ASSERT(el_slice_eq(opened.value, value));
}

static void check_keys(struct el_slice text)
{
    static struct el_access_keys keys, back;
    char again[EL_ACCESS_KEYS_TEXT_MAX];
    int code = el_access_keys_parse(text, &keys, NULL);
    EL_ASSERT(code == 0 || code == EVLOG_ERR_MALFORMED || code == EVLOG_ERR_LIMIT);
    if (code == 0) {
        code = el_access_keys_parse(el_slice_of(again, el_access_keys_text(&keys, again)), &back, NULL);
        EL_ASSERT(code == 0);
        EL_ASSERT(keys.count == back.count);
        EL_ASSERT(memcmp(keys.keys, back.keys, keys.count * sizeof keys.keys[0]) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct el_access_keys keys;
    size_t name_len = len < HEAD_LEN ? 0 : el_get_be16(data + 1);
    if (len < HEAD_LEN || name_len > len - HEAD_LEN) {
        return 0;
    }
    size_t value_len = len - HEAD_LEN - name_len;
    struct el_slice name = copy(data + HEAD_LEN, name_len), value = copy(data + HEAD_LEN + name_len, value_len);
    keys_make(&keys);
    if ((data[0] & KEYS) != 0) {
        check_keys(value);
    } else if ((data[0] & PLAIN) == 0) {
        check_record(&keys, name, (data[0] & VALUE_NULL) != 0 ? (struct el_slice){0} : value);
    } else if (name_len <= EL_ACCESS_NAME_MAX && value_len <= EL_ACCESS_VALUE_MAX) {
        check_plain(&keys, name, value);
    }
    drop(name);
    drop(value);
    return 0;
}
