/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of users, rules and limits, from a damaged or hostile disk. What is accepted can be one, is encoded again as
 * the same bytes, and can be put into force and taken back without a trace.
 *
 * Input: 1 byte, bit 0 set: the value is null   2 bytes, big-endian: length of the key   key   value
 */
#include <auth/auth_record.h>
#include <evlog/error.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define HEAD_LEN 3u

/* A copy of its own, so that asan sees a byte too far. */
static struct el_slice copy(const uint8_t *data, size_t len)
{
    uint8_t *bytes = malloc(len + 1);
    EL_ASSERT(bytes != NULL);
    memcpy(bytes, data, len);
    bytes = realloc(bytes, len == 0 ? 1 : len);
    EL_ASSERT(bytes != NULL);
    return el_slice_of(bytes, len);
}

static void check_bytes(const struct auth_record *record, struct el_slice key, struct el_slice value)
{
    uint8_t key_bytes[AUTH_RECORD_KEY_MAX], value_bytes[AUTH_RECORD_VALUE_MAX];
    struct el_writer k, v;
    const char *why;
    el_writer_init(&k, key_bytes, sizeof key_bytes);
    el_writer_init(&v, value_bytes, sizeof value_bytes);
    if (record->kind == AUTH_RECORD_RULE) {
        EL_ASSERT(auth_rule_check(&record->rule, &why) == 0);
        auth_record_rule_key(&k, &record->rule);
        auth_record_rule_value(&v);
    } else if (record->kind == AUTH_RECORD_LIMIT) {
        auth_record_limit_key(&k, &record->entity, record->limit);
        auth_record_limit_value(&v, record->value);
    } else {
        EL_ASSERT(record->gone || auth_user_check(&record->user, &why) == 0);
        auth_record_user_key(&k, &record->user);
        if (!record->gone) {
            auth_record_user_value(&v, &record->user);
        }
    }
    EL_ASSERT(el_slice_eq(el_slice_of(key_bytes, el_writer_len(&k)), key));
    EL_ASSERT(record->gone || el_slice_eq(el_slice_of(value_bytes, el_writer_len(&v)), value));
}

static void check_force(struct auth_record *record)
{
    struct auth auth;
    auth_init(&auth, NULL);
    int code = auth_record_apply(&auth, record);
    EL_ASSERT(code == 0);
    code = auth_record_apply(&auth, record);
    EL_ASSERT(code == 0);
    bool counted = !record->gone && record->kind != AUTH_RECORD_LIMIT;
    EL_ASSERT(auth.rule_count + auth_user_count(&auth) == counted);
    if (!record->gone && record->kind == AUTH_RECORD_RULE) {
        EL_ASSERT(auth_rule_has(&auth, &record->rule));
    }
    record->gone = true;
    code = auth_record_apply(&auth, record);
    EL_ASSERT(code == 0);
    EL_ASSERT(auth.rule_count + auth_user_count(&auth) == 0);
    auth_destroy(&auth);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct auth_record record;
    size_t key_len = len < HEAD_LEN ? 0 : el_get_be16(data + 1);
    if (len < HEAD_LEN || key_len > len - HEAD_LEN) {
        return 0;
    }
    struct el_slice key = copy(data + HEAD_LEN, key_len);
    struct el_slice bytes = copy(data + HEAD_LEN + key_len, len - HEAD_LEN - key_len);
    struct el_slice value = (data[0] & 1) != 0 ? (struct el_slice){0} : bytes;
    int code = auth_record_decode(key, value, &record);
    EL_ASSERT(code == 0 || code == EVLOG_ERR_CORRUPT || code == EVLOG_ERR_FORMAT);
    if (code == 0) {
        EL_ASSERT(record.gone == (value.data == NULL));
        check_bytes(&record, key, value);
        check_force(&record);
    }
    free((void *)(uintptr_t)key.data);
    free((void *)(uintptr_t)bytes.data);
    return 0;
}
