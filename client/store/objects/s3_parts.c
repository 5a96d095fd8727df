/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects that go in parts.
 *
 * 1. HEAD: what is there already is not sent again to be refused
 * 2. uploads of the key that were begun and not ended are looked at: one with parts, all of which have the length and
 *    the MD5 (which S3 gives as their ETag) of ours, is taken up; else one is begun
 * 3. the parts that miss are sent
 * 4. it is completed with If-None-Match: *; only now is there an object
 *
 * Whatever fails between leaves the upload for the next try, which may be another process's. An upload that holds other
 * parts is somebody else's business until the object is there: then it can never end, and is given up. A store whose
 * ETags are no MD5 (SSE-KMS) takes nothing up, and all is sent.
 */
#include "s3_state.h"

#include <core/aead.h>
#include <core/alloc.h>
#include <core/base64.h>
#include <core/crypto.h>
#include <stdio.h>

#define PARTS_MAX (OBJECT_LEN_MAX / S3_PART_LEN + 1)
#define UPLOADS_MAX 8 /* of one key that are looked at */

struct upload {
    struct s3_store *store;
    const char *key;
    struct el_slice data;
    char meta[65];
    uint32_t count; /* of parts */
    char id[S3_UPLOAD_ID_MAX];
    char (*etags)[S3_ETAG_MAX]; /* [count], "" not there yet */
    bool differs;               /* while parts are read: one is not ours */
    uint32_t there;
    uint32_t last_number;
    char found[UPLOADS_MAX][S3_UPLOAD_ID_MAX]; /* begun and not ended */
    size_t found_count;
    char whole_key[S3_PREFIX_MAX + OBJECT_KEY_MAX + 2];
};

static struct el_slice part_of(const struct upload *upload, uint32_t index)
{
    size_t pos = (size_t)index * S3_PART_LEN;
    return el_slice_of(upload->data.data + pos, EL_MIN(S3_PART_LEN, upload->data.len - pos));
}

static void md5_of(struct el_slice data, char hex[33])
{
    uint8_t digest[16];
    el_md5(data.data, data.len, digest);
    el_hex(hex, digest, sizeof digest);
}

/* A request about the upload: "uploadId=..." with what stands before it. returns as s3_request() */
static int ask(struct upload *upload, struct s3_call *call, const char *before, const char *value,
               struct s3_answer *answer, struct el_error *err)
{
    struct el_buffer query = {.err = 0};
    if (before != NULL) {
        s3_query_add(&query, before, value);
    }
    s3_query_add(&query, "uploadId", upload->id);
    call->query = el_buffer_text(&query);
    call->key = upload->key;
    int rc = call->query == NULL ? el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to put %.200s", upload->key)
                                 : s3_request(upload->store, call, answer, err);
    el_buffer_free(&query);
    return rc;
}

/* --- taking up ---------------------------------------------------------------------------------------------------- */

static bool find_upload(void *arg, const char *key, const char *id)
{
    struct upload *upload = arg;
    if (strcmp(key, upload->whole_key) == 0 && upload->found_count < UPLOADS_MAX) {
        (void)snprintf(upload->found[upload->found_count++], S3_UPLOAD_ID_MAX, "%s", id);
    }
    return upload->found_count < UPLOADS_MAX;
}

/* Uploads of this key; those on further pages are of other keys, which begin with this one. */
static int find_uploads(struct upload *upload, struct el_error *err)
{
    struct s3_answer answer = {.status = 0};
    struct el_buffer query = {.err = 0};
    bool more;
    s3_query_add(&query, "prefix", upload->whole_key);
    s3_query_add(&query, "uploads", NULL);
    const char *text = el_buffer_text(&query);
    int rc = text == NULL ? el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to put %.200s", upload->key)
                          : s3_request(upload->store, &(struct s3_call){.method = "GET", .query = text}, &answer, err);
    if (rc == 0 && s3_xml_uploads(el_buffer_slice(&answer.text), find_upload, upload, &more) != 0) {
        rc = s3_senseless(upload->key, "its list of uploads cannot be read", err);
    }
    el_buffer_free(&query);
    s3_answer_free(&answer);
    /* A store that has no such list, or does not allow it, takes nothing up. */
    return rc == EVLOG_ERR_NOT_FOUND || rc == EVLOG_ERR_UNSUPPORTED || rc == EVLOG_ERR_POLICY ? 0 : rc;
}

static bool take_part(void *arg, const struct s3_xml_part *part)
{
    struct upload *upload = arg;
    char md5[33];
    bool ours = part->number <= upload->count && part->number > upload->last_number;
    if (ours) {
        struct el_slice data = part_of(upload, part->number - 1);
        md5_of(data, md5);
        ours = part->len == data.len && strcmp(part->etag, md5) == 0;
    }
    if (!ours) {
        upload->differs = true;
        return false;
    }
    memcpy(upload->etags[part->number - 1], md5, sizeof md5);
    upload->last_number = part->number;
    upload->there++;
    return true;
}

/* Which parts does the upload have? returns 0, upload->differs | what the store says */
static int read_parts(struct upload *upload, struct el_error *err)
{
    bool more = true;
    int rc = 0;
    upload->differs = false;
    upload->there = upload->last_number = 0;
    memset(upload->etags, 0, upload->count * sizeof upload->etags[0]);
    while (rc == 0 && more && !upload->differs) {
        struct s3_answer answer = {.status = 0};
        struct s3_call call = {.method = "GET"};
        char marker[16];
        uint32_t before = upload->last_number;
        (void)snprintf(marker, sizeof marker, "%u", before);
        rc = ask(upload, &call, "part-number-marker", marker, &answer, err);
        if (answer.status == 404) { /* it has ended meanwhile */
            upload->differs = true;
            rc = 0;
        } else if (rc == 0 && (s3_xml_parts(el_buffer_slice(&answer.text), take_part, upload, &more) != 0 ||
                               (more && upload->last_number == before && !upload->differs))) {
            rc = s3_senseless(upload->key, "its list of parts cannot be read", err);
        }
        s3_answer_free(&answer);
    }
    return rc;
}

/* Find an upload to go on with. returns 0, upload->id is "" when there is none | what the store says */
static int take_up(struct upload *upload, struct el_error *err)
{
    int rc = find_uploads(upload, err);
    for (size_t i = 0; rc == 0 && i < upload->found_count; i++) {
        memcpy(upload->id, upload->found[i], sizeof upload->id);
        rc = read_parts(upload, err);
        if (rc == 0 && !upload->differs && upload->there > 0) {
            return 0;
        }
    }
    upload->id[0] = '\0';
    memset(upload->etags, 0, upload->count * sizeof upload->etags[0]);
    return rc;
}

/* --- sending ------------------------------------------------------------------------------------------------------ */

static int begin(struct upload *upload, struct el_error *err)
{
    struct s3_answer answer = {.status = 0};
    int rc = s3_request(
        upload->store,
        &(struct s3_call){.method = "POST", .key = upload->key, .query = "uploads=", .meta = upload->meta}, &answer,
        err);
    if (rc == 0 && s3_xml_upload(el_buffer_slice(&answer.text), upload->id) != 0) {
        rc = s3_senseless(upload->key, "it names no upload", err);
    }
    s3_answer_free(&answer);
    return rc;
}

static int send_part(struct upload *upload, uint32_t index, struct el_error *err)
{
    struct s3_answer answer = {.status = 0};
    char number[16], sum[32];
    uint8_t md5[16];
    struct s3_call call = {.method = "PUT", .body = part_of(upload, index), .md5 = sum};
    el_md5(call.body.data, call.body.len, md5);
    el_base64_encode(sum, md5, sizeof md5);
    (void)snprintf(number, sizeof number, "%u", index + 1);
    int rc = ask(upload, &call, "partNumber", number, &answer, err);
    if (rc == 0 && answer.etag[0] == '\0') {
        rc = s3_senseless(upload->key, "a part was put and got no ETag", err);
    }
    if (rc == 0) {
        memcpy(upload->etags[index], answer.etag, sizeof answer.etag);
    }
    s3_answer_free(&answer);
    return rc;
}

/* Uploads of a key that is there can never end. What fails here is tried by nobody again: a bucket's own rule for
 * unfinished uploads removes them. */
static void give_up(struct upload *upload)
{
    for (size_t i = 0; i < upload->found_count; i++) {
        struct s3_answer answer = {.status = 0};
        struct s3_call call = {.method = "DELETE"};
        memcpy(upload->id, upload->found[i], sizeof upload->id);
        (void)ask(upload, &call, NULL, NULL, &answer, NULL);
        s3_answer_free(&answer);
    }
}

/* 200 is told before the parts are put together: what became of it stands in the text. */
static int judge_completion(struct upload *upload, const struct s3_answer *answer, struct el_error *err)
{
    struct s3_xml_error error;
    struct el_slice text = el_buffer_slice(&answer->text);
    if (s3_xml_is_completed(text)) {
        return 0;
    }
    if (!s3_xml_is_error(text, &error)) {
        return el_error_set(err, EVLOG_ERR_IN_DOUBT, "%.200s: the answer says neither that it is there nor why not",
                            upload->key);
    }
    if (strcmp(error.code, "PreconditionFailed") == 0) {
        return el_error_set(err, EVLOG_ERR_EXISTS, "%.200s: it is there", upload->key);
    }
    return el_error_set(err, EVLOG_ERR_IN_DOUBT, "%.200s: its parts were not put together (%s: %.120s)", upload->key,
                        error.code, error.message);
}

static int complete(struct upload *upload, struct el_error *err)
{
    struct s3_answer answer = {.status = 0};
    struct el_buffer body = {.err = 0};
    el_buffer_append_str(&body, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (uint32_t i = 0; i < upload->count; i++) {
        el_buffer_printf(&body, "<Part><PartNumber>%u</PartNumber><ETag>&quot;%s&quot;</ETag></Part>", i + 1,
                         upload->etags[i]);
    }
    el_buffer_append_str(&body, "</CompleteMultipartUpload>");
    struct s3_call call = {.method = "POST", .body = el_buffer_slice(&body), .once = true, .changes = true};
    int rc = body.err != 0 ? el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to put %.200s", upload->key)
                           : ask(upload, &call, NULL, NULL, &answer, err);
    rc = rc == 0 ? judge_completion(upload, &answer, err) : rc;
    if (answer.status == 409 || answer.status == 400) { /* it would be refused for ever: the next try begins anew */
        struct s3_answer gone = {.status = 0};
        struct s3_call drop = {.method = "DELETE"};
        (void)ask(upload, &drop, NULL, NULL, &gone, NULL);
        s3_answer_free(&gone);
    }
    el_buffer_free(&body);
    s3_answer_free(&answer);
    return rc;
}

static int put(struct upload *upload, struct el_error *err)
{
    int rc = take_up(upload, err);
    if (rc == 0 && upload->id[0] == '\0') {
        rc = begin(upload, err);
    }
    for (uint32_t i = 0; rc == 0 && i < upload->count; i++) {
        rc = upload->etags[i][0] != '\0' ? 0 : send_part(upload, i, err);
    }
    rc = rc == 0 ? complete(upload, err) : rc;
    if (rc == EVLOG_ERR_EXISTS && upload->found_count < UPLOADS_MAX) {
        memcpy(upload->found[upload->found_count++], upload->id, sizeof upload->id);
    }
    if (rc == 0 || rc == EVLOG_ERR_EXISTS) {
        give_up(upload);
    }
    /* An upload that is not there any more, or a part that is none: the text says so, and the next try begins anew. */
    return rc == EVLOG_ERR_NOT_FOUND ? EVLOG_ERR_AGAIN : rc;
}

int s3_put_parts(struct s3_store *store, const char *key, struct el_slice data, const uint8_t sha256[32],
                 struct el_error *err)
{
    struct object_info info;
    int rc = object_head(&store->base, key, &info, err);
    if (rc != EVLOG_ERR_NOT_FOUND) {
        return rc == 0 ? el_error_set(err, EVLOG_ERR_EXISTS, "%.200s: it is there", key) : rc;
    }
    uint32_t count = (uint32_t)((data.len + S3_PART_LEN - 1) / S3_PART_LEN);
    struct upload *upload = el_calloc(1, sizeof *upload);
    char(*etags)[S3_ETAG_MAX] = el_calloc(count, sizeof *etags);
    EL_ASSERT(count <= PARTS_MAX);
    if (upload == NULL || etags == NULL) {
        rc = el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to put %.200s", key);
    } else {
        upload->store = store;
        upload->key = key;
        upload->data = data;
        upload->count = count;
        upload->etags = etags;
        el_hex(upload->meta, sha256, 32);
        (void)snprintf(upload->whole_key, sizeof upload->whole_key, "%s%s", store->cfg.prefix, key);
        rc = put(upload, err);
    }
    el_free(etags);
    el_free(upload);
    return rc;
}
