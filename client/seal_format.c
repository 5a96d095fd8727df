/* SPDX-License-Identifier: Apache-2.0
 *
 * Sealed data as bytes; any thread. Readers are strict: one text for one content, nothing besides what the format has,
 * so that a ciphertext cannot carry anything that is not authenticated.
 *
 * Bound to a ciphertext, besides the key: that it is evlog's, the key's id, the event's key and id, and the field.
 */
#include "seal_format.h"

#include <core/assert.h>
#include <core/base64.h>
#include <core/json.h>
#include <core/timefmt.h>

#define AAD_HEAD "evlog seal 1"
#define NO_LEN UINT32_MAX
#define NS_PER_MS 1000000
#define MS_MAX (INT64_MAX / NS_PER_MS) /* the year 2262 */

static const uint8_t bytes_magic[8] = {0x89, 'e', 'v', 's', 'e', 'a', 'l', 1};
#define BYTES_KEY_POS sizeof bytes_magic
#define BYTES_NONCE_POS (BYTES_KEY_POS + sizeof(struct el_uuid))
#define BYTES_SEALED_POS (BYTES_NONCE_POS + EL_AEAD_NONCE_LEN)

/* --- encryption --------------------------------------------------------------------------------------------------- */

/* Length and bytes, so that no two places run together into the same bytes. */
static void bind(struct el_buffer *out, struct el_slice part)
{
    uint8_t len[4];
    EL_ASSERT(part.len < NO_LEN);
    el_put_be32(len, part.data == NULL ? NO_LEN : (uint32_t)part.len);
    el_buffer_append(out, len, sizeof len);
    if (part.data != NULL && part.len > 0) {
        el_buffer_append(out, part.data, part.len);
    }
}

void el_seal_aad(struct el_buffer *out, const struct el_uuid *key_id, const struct el_seal_place *place)
{
    el_buffer_append(out, AAD_HEAD, sizeof AAD_HEAD); /* with its NUL */
    el_buffer_append(out, key_id->bytes, sizeof key_id->bytes);
    bind(out, place->key);
    bind(out, place->id);
    bind(out, place->path);
}

int el_seal_encrypt(const uint8_t key[EL_AEAD_KEY_LEN], const struct el_seal_place *place, struct el_slice text,
                    struct el_seal_box *box, uint8_t *room)
{
    struct el_buffer aad = {0};
    el_seal_aad(&aad, &box->key_id, place);
    int rc = aad.err;
    if (rc == 0) {
        rc = el_aead_seal(&(struct el_aead){key, box->nonce, el_buffer_slice(&aad)}, text, room);
        box->sealed = el_slice_of(room, text.len + EL_AEAD_TAG_LEN);
    }
    el_buffer_free(&aad);
    return rc;
}

int el_seal_decrypt(const uint8_t key[EL_AEAD_KEY_LEN], const struct el_seal_place *place,
                    const struct el_seal_box *box, uint8_t *text)
{
    struct el_buffer aad = {0};
    el_seal_aad(&aad, &box->key_id, place);
    int rc = aad.err;
    if (rc == 0) {
        rc = el_aead_open(&(struct el_aead){key, box->nonce, el_buffer_slice(&aad)}, box->sealed, text);
    }
    el_buffer_free(&aad);
    return rc;
}

/* --- fields of JSON ----------------------------------------------------------------------------------------------- */

static void put_base64(struct el_buffer *out, const void *data, size_t len)
{
    size_t text_len = el_base64_encoded_len(len);
    uint8_t *room = el_buffer_room(out, text_len + 1);
    if (room != NULL) {
        el_base64_encode((char *)room, data, len);
        out->len--; /* the NUL */
    }
}

void el_seal_write_field(struct el_buffer *out, const struct el_seal_box *box)
{
    char id[EL_UUID_TEXT_LEN + 1];
    el_uuid_format(id, &box->key_id);
    el_buffer_printf(out, "{\"$sealed\":{\"v\":1,\"k\":\"%s\",\"n\":\"", id);
    put_base64(out, box->nonce, sizeof box->nonce);
    el_buffer_append_str(out, "\",\"c\":\"");
    put_base64(out, box->sealed.data, box->sealed.len);
    el_buffer_append_str(out, "\"}}");
}

/* The one member of an object, which is an object itself. */
static int only_member(const struct el_json *json, const char *name, size_t member_count, const struct el_json **inner,
                       struct el_error *err)
{
    const struct el_json *found = el_json_get(json, name);
    if (el_json_count(json) != 1 || found == NULL || el_json_type_of(found) != EL_JSON_OBJECT) {
        return el_error_set(err, EVLOG_ERR_MALFORMED,
                            "the name \"%s\" is reserved: an object has it alone, and an object behind it", name);
    }
    if (el_json_count(found) != member_count) {
        return el_error_set(err, EVLOG_ERR_MALFORMED, "\"%s\" has %zu members where there are %zu", name,
                            el_json_count(found), member_count);
    }
    *inner = found;
    return 0;
}

static int read_members(const struct el_json *inner, struct el_buffer *room, struct el_seal_box *box,
                        struct el_error *err)
{
    struct el_slice id, nonce, sealed;
    int64_t version;
    size_t nonce_len = 0, sealed_len = 0;
    int rc = el_json_get_int(inner, "v", &version, err);
    if (rc == 0 && version != 1) {
        return el_error_set(err, EVLOG_ERR_MALFORMED, "version %lld, and this program knows 1", (long long)version);
    }
    rc = rc == 0 ? el_json_get_string(inner, "k", &id, err) : rc;
    rc = rc == 0 ? el_json_get_string(inner, "n", &nonce, err) : rc;
    rc = rc == 0 ? el_json_get_string(inner, "c", &sealed, err) : rc;
    if (rc != 0) {
        return EVLOG_ERR_MALFORMED;
    }
    el_buffer_reset(room);
    uint8_t *out = el_buffer_room(room, sealed.len);
    if (out == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for sealed data");
    }
    if (el_uuid_parse((const char *)id.data, id.len, &box->key_id) != 0 ||
        el_base64_decode((const char *)nonce.data, nonce.len, box->nonce, sizeof box->nonce, &nonce_len) != 0 ||
        el_base64_decode((const char *)sealed.data, sealed.len, out, sealed.len, &sealed_len) != 0 ||
        nonce_len != sizeof box->nonce || sealed_len < EL_AEAD_TAG_LEN) {
        return el_error_set(err, EVLOG_ERR_MALFORMED, "key id, nonce or ciphertext is no base64 of its length");
    }
    box->sealed = el_slice_of(out, sealed_len);
    return 0;
}

int el_seal_read_field(struct el_slice raw, struct el_buffer *room, struct el_seal_box *box, struct el_error *err)
{
    struct el_json *json;
    const struct el_json *inner;
    int rc = el_json_parse(raw.data, raw.len, EL_JSON_DEPTH_MAX, &json, err);
    if (rc != 0) {
        return rc == EVLOG_ERR_NO_MEMORY ? rc : EVLOG_ERR_MALFORMED;
    }
    rc = only_member(json, "$sealed", 4, &inner, err);
    rc = rc == 0 ? read_members(inner, room, box, err) : rc;
    el_json_free(json);
    return rc;
}

/* --- bytes -------------------------------------------------------------------------------------------------------- */

bool el_seal_is_bytes(struct el_slice data)
{
    return data.data != NULL && data.len >= sizeof bytes_magic &&
           memcmp(data.data, bytes_magic, sizeof bytes_magic) == 0;
}

void el_seal_write_bytes(struct el_buffer *out, const struct el_seal_box *box)
{
    el_buffer_append(out, bytes_magic, sizeof bytes_magic);
    el_buffer_append(out, box->key_id.bytes, sizeof box->key_id.bytes);
    el_buffer_append(out, box->nonce, sizeof box->nonce);
    el_buffer_append(out, box->sealed.data, box->sealed.len);
}

int el_seal_read_bytes(struct el_slice data, struct el_seal_box *box, struct el_error *err)
{
    EL_ASSERT(el_seal_is_bytes(data));
    if (data.len < BYTES_SEALED_POS + EL_AEAD_TAG_LEN) {
        return el_error_set(err, EVLOG_ERR_MALFORMED, "sealed bytes that end after %zu", data.len);
    }
    memcpy(box->key_id.bytes, data.data + BYTES_KEY_POS, sizeof box->key_id.bytes);
    memcpy(box->nonce, data.data + BYTES_NONCE_POS, sizeof box->nonce);
    box->sealed = el_slice_of(data.data + BYTES_SEALED_POS, data.len - BYTES_SEALED_POS);
    return 0;
}

/* --- what was erased ---------------------------------------------------------------------------------------------- */

void el_seal_write_erased(struct el_buffer *out, const struct el_uuid *key_id, int64_t erased_ms, bool restorable)
{
    char id[EL_UUID_TEXT_LEN + 1], time[40];
    el_uuid_format(id, key_id);
    el_time_format(time, EL_MIN(EL_MAX(erased_ms, 0), MS_MAX) * NS_PER_MS, 3);
    el_buffer_printf(out, "{\"$erased\":{\"subject\":\"%s\",\"at\":\"%s\",\"restorable\":%s}}", id, time,
                     restorable ? "true" : "false");
}

static int read_erased_members(const struct el_json *inner, struct evlog_field *field, struct el_error *err)
{
    const char *id, *time;
    struct el_uuid uuid;
    int64_t ns;
    int rc = el_json_get_text(inner, "subject", &id, err);
    rc = rc == 0 ? el_json_get_text(inner, "at", &time, err) : rc;
    rc = rc == 0 ? el_json_get_bool(inner, "restorable", &field->restorable, err) : rc;
    if (rc != 0) {
        return EVLOG_ERR_MALFORMED;
    }
    if (el_uuid_parse(id, strlen(id), &uuid) != 0 || strchr(time, 'T') == NULL ||
        el_time_parse(time, 0, &ns, NULL) != 0) {
        return el_error_set(err, EVLOG_ERR_MALFORMED, "\"$erased\" has no pseudonym or no time");
    }
    memcpy(field->subject, id, EL_UUID_TEXT_LEN + 1);
    field->erased_ms = ns / NS_PER_MS;
    return 0;
}

int el_seal_read_erased(struct el_slice raw, struct evlog_field *field, struct el_error *err)
{
    struct el_json *json;
    const struct el_json *inner;
    int rc = el_json_parse(raw.data, raw.len, EL_JSON_DEPTH_MAX, &json, err);
    if (rc != 0) {
        return rc == EVLOG_ERR_NO_MEMORY ? rc : EVLOG_ERR_MALFORMED;
    }
    *field = (struct evlog_field){.state = EVLOG_FIELD_ERASED};
    rc = only_member(json, "$erased", 3, &inner, err);
    rc = rc == 0 ? read_erased_members(inner, field, err) : rc;
    el_json_free(json);
    return rc;
}
