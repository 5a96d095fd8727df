/* SPDX-License-Identifier: Apache-2.0
 *
 * See access_seal.h. Everything that is read is hostile: lengths are compared before anything is believed, and nothing
 * is allocated. What a record is bound to, as additional data: the topic, whether it is a name or a value, and of a
 * value the whole sealed key before it. So no value opens behind another name, and none as a name.
 */
#include <format/access_seal.h>

#include <core/crypto.h>
#include <evlog/error.h>
#include <stdio.h>
#include <string.h>

#define SUBKEY_ID "evlog access: id of the key, 1"
#define SUBKEY_NONCE "evlog access: nonces of names, 1"
#define SUBKEY_NAME "evlog access: names, 1"
#define SUBKEY_VALUE "evlog access: values, 1"
#define AAD_NAME "__evlog_access name"
#define AAD_VALUE "__evlog_access value"
#define AAD_MAX (sizeof AAD_VALUE + EL_ACCESS_SEALED_NAME_MAX)
#define HEX_LEN (2u * EL_AEAD_KEY_LEN)
#define FILE_HEAD                                                                                                      \
    "# Keys that seal evlog's users and access rules: the first one seals, all open. Keep a copy of this file\n"       \
    "# elsewhere: without it users and rules cannot be restored.\n"
EL_STATIC_ASSERT(sizeof FILE_HEAD + EL_ACCESS_KEYS_MAX * (HEX_LEN + 1u) < EL_ACCESS_KEYS_TEXT_MAX, "a full file fits");

/* --- keys --------------------------------------------------------------------------------------------------------- */

void el_access_key_init(struct el_access_key *key, const uint8_t secret[EL_AEAD_KEY_LEN])
{
    uint8_t mac[32];
    memcpy(key->secret, secret, sizeof key->secret);
    el_hmac_sha256(secret, el_slice_str(SUBKEY_ID), mac);
    memcpy(key->id, mac, sizeof key->id);
    el_hmac_sha256(secret, el_slice_str(SUBKEY_NONCE), key->nonce_key);
    el_hmac_sha256(secret, el_slice_str(SUBKEY_NAME), key->name_key);
    el_hmac_sha256(secret, el_slice_str(SUBKEY_VALUE), key->value_key);
}

void el_access_key_id_text(char text[EL_ACCESS_KEY_ID_TEXT], const uint8_t id[EL_ACCESS_KEY_ID_LEN])
{
    el_hex(text, id, EL_ACCESS_KEY_ID_LEN);
}

static const struct el_access_key *key_find(const struct el_access_keys *keys, const uint8_t *id)
{
    for (uint32_t i = 0; i < keys->count; i++) {
        if (memcmp(keys->keys[i].id, id, EL_ACCESS_KEY_ID_LEN) == 0) {
            return &keys->keys[i];
        }
    }
    return NULL;
}

static int digit_of(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex_get(struct el_slice line, uint8_t secret[EL_AEAD_KEY_LEN])
{
    if (line.len != HEX_LEN) {
        return false;
    }
    for (size_t i = 0; i < EL_AEAD_KEY_LEN; i++) {
        int high = digit_of(line.data[2 * i]), low = digit_of(line.data[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        secret[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static int key_add(struct el_access_keys *keys, const uint8_t secret[EL_AEAD_KEY_LEN])
{
    struct el_access_key key;
    int code = 0;
    el_access_key_init(&key, secret);
    if (key_find(keys, key.id) == NULL) {
        code = keys->count < EL_ACCESS_KEYS_MAX ? 0 : EVLOG_ERR_LIMIT;
        if (code == 0) {
            keys->keys[keys->count++] = key;
        }
    }
    explicit_bzero(&key, sizeof key);
    return code;
}

static struct el_slice line_take(struct el_slice *rest)
{
    const uint8_t *end = memchr(rest->data, '\n', rest->len);
    struct el_slice line = el_slice_of(rest->data, end == NULL ? rest->len : (size_t)(end - rest->data));
    size_t taken = line.len + (end != NULL);
    *rest = el_slice_of(rest->data + taken, rest->len - taken);
    while (line.len > 0 && (line.data[line.len - 1] == '\r' || line.data[line.len - 1] == ' ')) {
        line.len--;
    }
    return line;
}

int el_access_keys_parse(struct el_slice text, struct el_access_keys *keys, struct el_error *err)
{
    struct el_access_keys found = {.count = 0};
    uint8_t secret[EL_AEAD_KEY_LEN];
    int code = 0;
    for (unsigned number = 1; text.len > 0 && code == 0; number++) {
        struct el_slice line = line_take(&text);
        if (line.len == 0 || line.data[0] == '#') {
            continue;
        }
        if (!hex_get(line, secret)) {
            code = el_error_set(err, EVLOG_ERR_MALFORMED,
                                "line %u is no key: a key is %u digits of hex, this has %zu "
                                "characters",
                                number, HEX_LEN, line.len);
        } else if (key_add(&found, secret) != 0) {
            code = el_error_set(err, EVLOG_ERR_LIMIT, "more than %u keys", EL_ACCESS_KEYS_MAX);
        }
    }
    if (code == 0 && found.count == 0) {
        code = el_error_set(err, EVLOG_ERR_MALFORMED, "there is no key in it: a key is a line of %u digits of hex",
                            HEX_LEN);
    }
    if (code == 0) {
        *keys = found;
    }
    explicit_bzero(secret, sizeof secret);
    explicit_bzero(&found, sizeof found);
    return code;
}

size_t el_access_keys_text(const struct el_access_keys *keys, char *text)
{
    size_t len = sizeof FILE_HEAD - 1;
    memcpy(text, FILE_HEAD, len);
    for (uint32_t i = 0; i < keys->count; i++) {
        el_hex(text + len, keys->keys[i].secret, EL_AEAD_KEY_LEN);
        len += HEX_LEN;
        text[len++] = '\n';
    }
    return len;
}

int el_access_keys_merge(struct el_access_keys *keys, const struct el_access_keys *first)
{
    struct el_access_keys all = *first;
    int code = 0;
    for (uint32_t i = 0; i < keys->count && code == 0; i++) {
        code = key_add(&all, keys->keys[i].secret);
    }
    if (code == 0) {
        *keys = all;
    }
    explicit_bzero(&all, sizeof all);
    return code;
}

bool el_access_sealed_by(struct el_slice name, const struct el_access_key *key)
{
    return name.len > EL_ACCESS_NAME_HEAD_LEN && name.data[0] == EL_ACCESS_SEALED_VERSION &&
           memcmp(name.data + 2, key->id, EL_ACCESS_KEY_ID_LEN) == 0;
}

/* --- sealing ------------------------------------------------------------------------------------------------------ */

static size_t name_text_len(size_t plain_len)
{
    return (2 + plain_len + EL_ACCESS_NAME_UNIT - 1) / EL_ACCESS_NAME_UNIT * EL_ACCESS_NAME_UNIT;
}

size_t el_access_sealed_name_len(size_t plain_len)
{
    return EL_ACCESS_NAME_HEAD_LEN + name_text_len(plain_len) + EL_AEAD_TAG_LEN;
}

static void text_put(uint8_t *text, size_t text_len, struct el_slice plain)
{
    el_put_le16(text, (uint16_t)plain.len);
    if (plain.len > 0) {
        memcpy(text + 2, plain.data, plain.len);
    }
    memset(text + 2 + plain.len, 0, text_len - 2 - plain.len);
}

/* What a name is bound to: its head up to the nonce, which GCM binds itself. */
static struct el_slice name_aad(const uint8_t *sealed, uint8_t *aad)
{
    memcpy(aad, AAD_NAME, sizeof AAD_NAME);
    memcpy(aad + sizeof AAD_NAME, sealed, 2 + EL_ACCESS_KEY_ID_LEN);
    return el_slice_of(aad, sizeof AAD_NAME + 2 + EL_ACCESS_KEY_ID_LEN);
}

static struct el_slice value_aad(struct el_slice name, uint8_t *aad)
{
    memcpy(aad, AAD_VALUE, sizeof AAD_VALUE);
    memcpy(aad + sizeof AAD_VALUE, name.data, name.len);
    return el_slice_of(aad, sizeof AAD_VALUE + name.len);
}

static void name_nonce(const struct el_access_key *key, struct el_slice plain, uint8_t nonce[EL_AEAD_NONCE_LEN])
{
    uint8_t mac[32];
    el_hmac_sha256(key->nonce_key, plain, mac);
    memcpy(nonce, mac, EL_AEAD_NONCE_LEN);
}

int el_access_seal_name(const struct el_access_key *key, struct el_slice plain, uint8_t *sealed)
{
    uint8_t aad[AAD_MAX], *nonce = sealed + 2 + EL_ACCESS_KEY_ID_LEN, *text = sealed + EL_ACCESS_NAME_HEAD_LEN;
    size_t text_len = name_text_len(plain.len);
    EL_ASSERT(plain.len <= EL_ACCESS_NAME_MAX);
    sealed[0] = EL_ACCESS_SEALED_VERSION;
    sealed[1] = 0;
    memcpy(sealed + 2, key->id, EL_ACCESS_KEY_ID_LEN);
    name_nonce(key, plain, nonce);
    text_put(text, text_len, plain);
    return el_aead_seal(&(struct el_aead){.key = key->name_key, .nonce = nonce, .aad = name_aad(sealed, aad)},
                        el_slice_of(text, text_len), text);
}

int el_access_seal_value(const struct el_access_key *key, struct el_slice name, const uint8_t nonce[EL_AEAD_NONCE_LEN],
                         struct el_slice plain, uint8_t *sealed)
{
    uint8_t aad[AAD_MAX], *text = sealed + EL_ACCESS_VALUE_HEAD_LEN;
    EL_ASSERT(plain.len <= EL_ACCESS_VALUE_MAX);
    EL_ASSERT(name.len <= EL_ACCESS_SEALED_NAME_MAX);
    sealed[0] = EL_ACCESS_SEALED_VERSION;
    sealed[1] = 0;
    memcpy(sealed + 2, nonce, EL_AEAD_NONCE_LEN);
    text_put(text, EL_ACCESS_VALUE_TEXT_LEN, plain);
    return el_aead_seal(&(struct el_aead){.key = key->value_key, .nonce = nonce, .aad = value_aad(name, aad)},
                        el_slice_of(text, EL_ACCESS_VALUE_TEXT_LEN), text);
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

/* What a text says, if it is filled up with zeros. */
static int text_get(const uint8_t *text, size_t text_len, struct el_slice *plain)
{
    size_t len = el_get_le16(text);
    uint8_t rest = 0;
    if (len > text_len - 2) {
        return EVLOG_ERR_CORRUPT;
    }
    for (size_t i = 2 + len; i < text_len; i++) {
        rest |= text[i];
    }
    *plain = el_slice_of(text + 2, len);
    return rest == 0 ? 0 : EVLOG_ERR_CORRUPT;
}

static int version_check(struct el_slice bytes)
{
    if (bytes.len > 0 && bytes.data[0] > EL_ACCESS_SEALED_VERSION) {
        return EVLOG_ERR_FORMAT;
    }
    return bytes.len < 2 || bytes.data[0] != EL_ACCESS_SEALED_VERSION || bytes.data[1] != 0 ? EVLOG_ERR_CORRUPT : 0;
}

static int name_open(const struct el_access_key *key, struct el_slice name, struct el_access_opened *opened)
{
    uint8_t aad[AAD_MAX], nonce[EL_AEAD_NONCE_LEN];
    const uint8_t *stored = name.data + 2 + EL_ACCESS_KEY_ID_LEN;
    struct el_slice sealed = el_slice_of(name.data + EL_ACCESS_NAME_HEAD_LEN, name.len - EL_ACCESS_NAME_HEAD_LEN);
    size_t text_len = sealed.len - EL_AEAD_TAG_LEN;
    int code = el_aead_open(&(struct el_aead){.key = key->name_key, .nonce = stored, .aad = name_aad(name.data, aad)},
                            sealed, opened->name_text);
    code = code != 0 ? code : text_get(opened->name_text, text_len, &opened->key);
    if (code == 0) { /* the one sealed form that it has */
        name_nonce(key, opened->key, nonce);
        bool one = name_text_len(opened->key.len) == text_len && memcmp(nonce, stored, sizeof nonce) == 0;
        code = one ? 0 : EVLOG_ERR_CORRUPT;
    }
    return code;
}

static int value_open(const struct el_access_key *key, struct el_slice name, struct el_slice value,
                      struct el_access_opened *opened)
{
    uint8_t aad[AAD_MAX];
    int code = version_check(value);
    if (code != 0 || value.len != EL_ACCESS_SEALED_VALUE_LEN) {
        return code != 0 ? code : EVLOG_ERR_CORRUPT;
    }
    struct el_slice sealed = el_slice_of(value.data + EL_ACCESS_VALUE_HEAD_LEN, value.len - EL_ACCESS_VALUE_HEAD_LEN);
    code = el_aead_open(&(struct el_aead){.key = key->value_key, .nonce = value.data + 2, .aad = value_aad(name, aad)},
                        sealed, opened->value_text);
    return code != 0 ? code : text_get(opened->value_text, EL_ACCESS_VALUE_TEXT_LEN, &opened->value);
}

int el_access_open(const struct el_access_keys *keys, struct el_slice name, struct el_slice value,
                   struct el_access_opened *opened)
{
    int code = version_check(name);
    size_t around = EL_ACCESS_NAME_HEAD_LEN + EL_AEAD_TAG_LEN;
    if (code != 0) {
        return code;
    }
    if (name.len <= around || name.len > EL_ACCESS_SEALED_NAME_MAX || (name.len - around) % EL_ACCESS_NAME_UNIT != 0) {
        return EVLOG_ERR_CORRUPT;
    }
    const struct el_access_key *key = key_find(keys, name.data + 2);
    if (key == NULL) {
        return EVLOG_ERR_NOT_FOUND;
    }
    opened->value = (struct el_slice){0};
    code = name_open(key, name, opened);
    return code != 0 || value.data == NULL ? code : value_open(key, name, value, opened);
}
