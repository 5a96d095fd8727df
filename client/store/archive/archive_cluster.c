/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster.json: written by who begins an incarnation, read by who looks for one.
 */
#include <store/archive_cluster.h>

#include <core/crypto.h>
#include <core/json.h>
#include <core/json_writer.h>
#include <core/timefmt.h>
#include <evlog/error.h>

#define DEPTH_MAX 8
#define PEM_MAX 1024

static void add_id(struct el_json_writer *w, const char *name, const struct el_uuid *id)
{
    char hex[33];
    el_hex(hex, id->bytes, sizeof(id->bytes));
    el_json_add_str(w, name, hex);
}

int archive_cluster_write(const struct archive_cluster *cluster, struct el_buffer *out)
{
    struct el_json_writer w;
    char text[PEM_MAX];
    el_json_writer_init(&w, out);
    el_json_begin_object(&w);
    el_json_add_str(&w, "evlog", "archive");
    el_json_add_int(&w, "format", 1);
    add_id(&w, "cluster", &cluster->cluster);
    add_id(&w, "incarnation", &cluster->incarnation);
    el_json_key(&w, "parent");
    if (el_uuid_is_zero(&cluster->parent)) {
        el_json_put_null(&w);
    } else {
        el_json_begin_object(&w);
        add_id(&w, "incarnation", &cluster->parent);
        el_json_add_uint(&w, "sequence", cluster->parent_sequence);
        el_json_end_object(&w);
    }
    el_time_format(text, (int64_t)cluster->made_ms * 1000000, 3);
    el_json_add_str(&w, "made", text);
    el_json_key(&w, "keys");
    el_json_begin_array(&w);
    for (size_t i = 0; i < cluster->key_count; i++) {
        if (el_public_key_pem(&cluster->keys[i], text, sizeof(text)) != 0) {
            continue;
        }
        el_json_begin_object(&w);
        el_json_add_str(&w, "kind", cluster->keys[i].kind == EL_SIGN_ED25519 ? "ed25519" : "ecdsa-p256");
        el_json_add_str(&w, "public", text);
        el_json_end_object(&w);
    }
    el_json_end_array(&w);
    el_json_end_object(&w);
    int code = el_json_writer_end(&w);
    el_buffer_append_char(out, '\n');
    return code != 0 ? code : out->err;
}

static int digit_of(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int archive_id_parse(struct el_slice text, struct el_uuid *id)
{
    struct el_uuid got;
    if (text.len != 32) {
        return EVLOG_ERR_MALFORMED;
    }
    for (size_t i = 0; i < 16; i++) {
        int high = digit_of(text.data[2 * i]), low = digit_of(text.data[2 * i + 1]);
        if (high < 0 || low < 0) {
            return EVLOG_ERR_MALFORMED;
        }
        got.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *id = got;
    return 0;
}

static int get_id(const struct el_json *json, const char *name, struct el_uuid *id, struct el_error *err)
{
    struct el_slice text;
    int code = el_json_get_string(json, name, &text, err);
    return code != 0                         ? EVLOG_ERR_MALFORMED
           : archive_id_parse(text, id) != 0 ? el_error_set(err, EVLOG_ERR_MALFORMED, "%s is no id", name)
                                             : 0;
}

static void get_keys(const struct el_json *json, struct archive_cluster *cluster)
{
    const struct el_json *keys = el_json_get(json, "keys");
    for (size_t i = 0; keys != NULL && el_json_type_of(keys) == EL_JSON_ARRAY && i < el_json_count(keys); i++) {
        const struct el_json *key = el_json_at(keys, i);
        struct el_public_key found[EL_SIGN_KEYS_MAX];
        struct el_slice pem;
        size_t count = 0;
        if (el_json_type_of(key) == EL_JSON_OBJECT && el_json_get_string(key, "public", &pem, NULL) == 0 &&
            el_public_keys_parse(pem, found, &count, NULL) == 0 && count == 1 &&
            cluster->key_count < EL_SIGN_KEYS_MAX) {
            cluster->keys[cluster->key_count++] = found[0];
        }
    }
}

static int get_all(const struct el_json *json, struct archive_cluster *cluster, struct el_error *err)
{
    struct el_slice word, made;
    int64_t number = 0;
    if (el_json_type_of(json) != EL_JSON_OBJECT || el_json_get_string(json, "evlog", &word, NULL) != 0 ||
        !el_slice_eq(word, el_slice_str("archive")) || el_json_get_int(json, "format", &number, NULL) != 0) {
        return el_error_set(err, EVLOG_ERR_MALFORMED, "it does not say that this is an archive");
    }
    if (number != 1) {
        return el_error_set(err, number > 1 ? EVLOG_ERR_FORMAT : EVLOG_ERR_MALFORMED, "format %lld is not known here",
                            (long long)number);
    }
    if (get_id(json, "cluster", &cluster->cluster, err) != 0 ||
        get_id(json, "incarnation", &cluster->incarnation, err) != 0) {
        return EVLOG_ERR_MALFORMED;
    }
    const struct el_json *parent = el_json_get(json, "parent");
    if (parent != NULL && el_json_type_of(parent) == EL_JSON_OBJECT) {
        if (get_id(parent, "incarnation", &cluster->parent, err) != 0 ||
            el_json_get_int(parent, "sequence", &number, err) != 0 || number < 1) {
            return EVLOG_ERR_MALFORMED;
        }
        cluster->parent_sequence = (uint64_t)number;
    }
    if (el_json_get_string(json, "made", &made, NULL) == 0 && made.len < 64) {
        char text[64];
        int64_t ns = 0;
        memcpy(text, made.data, made.len);
        text[made.len] = '\0';
        cluster->made_ms = el_time_parse(text, 0, &ns, NULL) == 0 && ns > 0 ? (uint64_t)ns / 1000000 : 0;
    }
    get_keys(json, cluster);
    return 0;
}

int archive_cluster_parse(struct el_slice text, struct archive_cluster *cluster, struct el_error *err)
{
    struct el_json *json = NULL;
    struct archive_cluster got = {.key_count = 0};
    if (text.len > ARCHIVE_CLUSTER_LEN_MAX) {
        return el_error_set(err, EVLOG_ERR_MALFORMED, "it has more than %u bytes", ARCHIVE_CLUSTER_LEN_MAX);
    }
    int code = el_json_parse(text.data, text.len, DEPTH_MAX, &json, err);
    if (code != 0) {
        return code == EVLOG_ERR_NO_MEMORY ? code : EVLOG_ERR_MALFORMED;
    }
    code = get_all(json, &got, err);
    el_json_free(json);
    if (code == 0) {
        *cluster = got;
    }
    return code;
}
