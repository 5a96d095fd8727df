/* SPDX-License-Identifier: Apache-2.0
 *
 * Key files: a text is refused with a reason, or its keys can be written and are the same when read again.
 */
#include <core/assert.h>
#include <core/buffer.h>
#include <core/sign.h>
#include <evlog/error.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_code(int rc, const struct el_error *err)
{
    EL_ASSERT(rc == 0 || rc == EVLOG_ERR_MALFORMED || rc == EVLOG_ERR_UNSUPPORTED || rc == EVLOG_ERR_LIMIT);
    EL_ASSERT(rc == 0 || (err->code == rc && err->text[0] != '\0'));
}

static void try_private(struct el_slice pem)
{
    struct el_private_key *keys[EL_SIGN_KEYS_MAX], *again[EL_SIGN_KEYS_MAX];
    struct el_buffer text = {0};
    struct el_error err = {0};
    size_t count = 0, again_count = 0;
    int rc = el_private_keys_parse(pem, keys, &count, &err);
    check_code(rc, &err);
    if (rc != 0) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        char one[EL_SIGN_PEM_MAX];
        rc = el_private_key_pem(keys[i], one, sizeof(one));
        EL_ASSERT(rc == 0);
        el_buffer_append_str(&text, one);
    }
    rc = el_private_keys_parse(el_buffer_slice(&text), again, &again_count, &err);
    EL_ASSERT(rc == 0);
    EL_ASSERT(again_count == count);
    for (size_t i = 0; i < count; i++) {
        struct el_public_key a, b;
        el_private_key_public(keys[i], &a);
        el_private_key_public(again[i], &b);
        EL_ASSERT(el_slice_eq(el_slice_of(a.bytes, a.len), el_slice_of(b.bytes, b.len)));
        el_private_key_free(keys[i]);
        el_private_key_free(again[i]);
    }
    el_buffer_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct el_public_key keys[EL_SIGN_KEYS_MAX], again[EL_SIGN_KEYS_MAX];
    struct el_error err = {0};
    size_t count = 0, again_count = 0;
    struct el_slice pem = el_slice_of(data, len);
    int rc = el_public_keys_parse(pem, keys, &count, &err);
    check_code(rc, &err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        char one[EL_SIGN_PEM_MAX];
        EL_ASSERT(el_public_key_check(&keys[i]) == 0);
        EL_ASSERT(el_public_key_pem(&keys[i], one, sizeof(one)) == 0);
        EL_ASSERT(el_public_keys_parse(el_slice_str(one), again, &again_count, &err) == 0);
        EL_ASSERT(again_count == 1);
        EL_ASSERT(el_slice_eq(el_slice_of(keys[i].bytes, keys[i].len), el_slice_of(again[0].bytes, again[0].len)));
    }
    try_private(pem);
    return 0;
}
