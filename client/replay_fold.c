/* SPDX-License-Identifier: Apache-2.0
 *
 * Fold and digest of a replay.
 *
 * Per key:  chain = 32 zero bytes; for each event in log order
 *           chain = SHA-256(chain | u64be version | u32be length of id | id | SHA-256(value)),
 *           no id: length 0; null value: 32 zero bytes in place of its hash
 * Digest:   SHA-256 over all keys in byte order of (u32be length of key | key | u64be count | chain), and behind them
 *           the streams of events without a key, by partition, with the length 0xffffffff and the u32be partition in
 *           place of the key
 *
 * A key that was dropped stays in the digest; one that only el_fold_pass() saw does not get into it.
 * Fails only for want of memory. Source: docs/semantics.md, Replay.
 */
#include "replay_fold.h"

#include <core/alloc.h>
#include <core/crypto.h>
#include <evlog/error.h>
#include <stdlib.h>

#define KEYLESS_LEN UINT32_MAX

/* The last event of a live key; its bytes stand behind it: type, id, value, headers, and data where it is not the
 * value. */
struct live {
    size_t room; /* bytes allocated behind this struct */
    int64_t version;
    int64_t offset;
    int64_t timestamp_ms;
    int64_t append_time_ns;
    int32_t partition;
    uint32_t type_len;
    uint32_t id_len;
    bool has_type;
    bool has_id;
    bool data_is_value;
    size_t value_len;
    size_t headers_len;
    size_t data_len;
    uint8_t bytes[];
};

struct el_fold_stream {
    uint64_t version_next; /* records of the key seen so far */
    uint64_t count;        /* of those, in the digest */
    struct live *live;     /* NULL: none, or dropped */
    bool is_live;          /* live holds the state; else only memory to use again */
    uint8_t chain[32];
    uint32_t key_len;
    uint8_t key[]; /* keyless: partition, be32 */
};

void el_fold_init(struct el_fold *fold, const struct el_fold_options *options)
{
    memset(fold, 0, sizeof *fold);
    fold->options = *options;
    el_map_init(&fold->keyed, NULL);
    el_map_init(&fold->keyless, NULL);
}

static void destroy_streams(struct el_map *map)
{
    for (size_t i = 0; i < map->count; i++) {
        struct el_fold_stream *stream = map->entries[i].value;
        el_free(stream->live);
        el_free(stream);
    }
    el_map_destroy(map);
}

void el_fold_destroy(struct el_fold *fold)
{
    destroy_streams(&fold->keyed);
    destroy_streams(&fold->keyless);
    el_free(fold->sorted);
    memset(fold, 0, sizeof *fold);
}

/* The stream of an event, made when it is new; NULL: no memory. */
static struct el_fold_stream *stream_of(struct el_fold *fold, const struct el_fold_event *event)
{
    uint8_t partition[4];
    struct el_slice key = event->key;
    struct el_map *map = &fold->keyed;
    if (key.data == NULL) {
        el_put_be32(partition, (uint32_t)event->partition);
        key = el_slice_of(partition, sizeof partition);
        map = &fold->keyless;
    }
    struct el_fold_stream *stream = el_map_get(map, key.data, key.len);
    if (stream != NULL) {
        return stream;
    }
    stream = el_calloc(1, sizeof *stream + key.len);
    if (stream == NULL) {
        return NULL;
    }
    stream->key_len = (uint32_t)key.len;
    memcpy(stream->key, key.data, key.len);
    if (el_map_put(map, stream->key, stream->key_len, stream) != 0) {
        el_free(stream);
        return NULL;
    }
    return stream;
}

static void chain_add(struct el_fold_stream *stream, const struct el_fold_event *event)
{
    uint8_t head[44] = {0};
    uint8_t value_hash[32] = {0};
    if (event->value.data != NULL) {
        el_sha256(event->value.data, event->value.len, value_hash);
    }
    memcpy(head, stream->chain, 32);
    el_put_be64(head + 32, stream->version_next);
    el_put_be32(head + 40, (uint32_t)event->id.len);
    struct el_sha256 sha;
    el_sha256_begin(&sha);
    el_sha256_add(&sha, head, sizeof head);
    el_sha256_add(&sha, event->id.data, event->id.len);
    el_sha256_add(&sha, value_hash, sizeof value_hash);
    el_sha256_end(&sha, stream->chain);
}

bool el_fold_removes(const struct el_fold *fold, const struct el_fold_event *event)
{
    if (event->value.data == NULL) {
        return true;
    }
    for (size_t i = 0; event->type.data != NULL && i < fold->options.drop_type_count; i++) {
        if (el_glob_match(fold->options.drop_types[i], event->type)) {
            return true;
        }
    }
    return false;
}

static uint8_t *put(uint8_t *p, struct el_slice bytes)
{
    if (bytes.len > 0) {
        memcpy(p, bytes.data, bytes.len);
    }
    return p + bytes.len;
}

static int keep(struct el_fold_stream *stream, const struct el_fold_event *event)
{
    bool data_is_value = event->data.data == event->value.data && event->data.len == event->value.len;
    size_t len = event->type.len + event->id.len + event->value.len + event->headers.len +
                 (data_is_value ? 0 : event->data.len);
    struct live *live = stream->live;
    if (live == NULL || live->room < len || live->room / 4 > len + 1024) {
        struct live *fresh = el_malloc(sizeof *fresh + len);
        if (fresh == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        fresh->room = len;
        el_free(live);
        stream->live = live = fresh;
    }
    live->version = (int64_t)stream->version_next;
    live->offset = event->offset;
    live->timestamp_ms = event->timestamp_ms;
    live->append_time_ns = event->append_time_ns;
    live->partition = event->partition;
    live->has_type = event->type.data != NULL;
    live->has_id = event->id.data != NULL;
    live->data_is_value = data_is_value;
    live->type_len = (uint32_t)event->type.len;
    live->id_len = (uint32_t)event->id.len;
    live->value_len = event->value.len;
    live->headers_len = event->headers.len;
    live->data_len = event->data.len;
    uint8_t *p = put(live->bytes, event->type);
    p = put(p, event->id);
    p = put(p, event->value);
    p = put(p, event->headers);
    if (!data_is_value) {
        put(p, event->data);
    }
    stream->is_live = true;
    return 0;
}

static int refuse_lengths(const struct el_fold_event *event)
{
    bool ok = event->key.len < KEYLESS_LEN && event->id.len <= UINT32_MAX && event->type.len <= UINT32_MAX;
    return ok ? 0 : EVLOG_ERR_LIMIT;
}

int el_fold_add(struct el_fold *fold, const struct el_fold_event *event, int64_t *version)
{
    int rc = refuse_lengths(event);
    if (rc != 0) {
        return rc;
    }
    struct el_fold_stream *stream = stream_of(fold, event);
    if (stream == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    chain_add(stream, event);
    if (fold->options.keep_latest && event->key.data != NULL) {
        if (el_fold_removes(fold, event)) {
            stream->is_live = false;
        } else {
            rc = keep(stream, event);
            if (rc != 0) {
                return rc;
            }
        }
    }
    *version = event->key.data == NULL ? -1 : (int64_t)stream->version_next;
    stream->version_next++;
    stream->count++;
    fold->event_count++;
    fold->keyless_count += event->key.data == NULL;
    return 0;
}

int el_fold_pass(struct el_fold *fold, const struct el_fold_event *event)
{
    int rc = refuse_lengths(event);
    if (rc != 0) {
        return rc;
    }
    struct el_fold_stream *stream = stream_of(fold, event);
    if (stream == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    stream->version_next++;
    return 0;
}

uint64_t el_fold_version(const struct el_fold *fold, struct el_slice key)
{
    const struct el_fold_stream *stream = key.data == NULL ? NULL : el_map_get(&fold->keyed, key.data, key.len);
    return stream == NULL ? 0 : stream->version_next;
}

static int by_key(const void *a_, const void *b_)
{
    const struct el_fold_stream *a = *(const struct el_fold_stream *const *)a_;
    const struct el_fold_stream *b = *(const struct el_fold_stream *const *)b_;
    int order = memcmp(a->key, b->key, EL_MIN(a->key_len, b->key_len));
    if (order != 0) {
        return order;
    }
    return (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

static struct el_fold_stream **sort_streams(const struct el_map *map)
{
    struct el_fold_stream **sorted = el_malloc(map->count * sizeof *sorted);
    if (sorted == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < map->count; i++) {
        sorted[i] = map->entries[i].value;
    }
    if (map->count > 0) {
        qsort(sorted, map->count, sizeof *sorted, by_key);
    }
    return sorted;
}

static void digest_add(struct el_sha256 *sha, const struct el_fold_stream *stream, bool keyless)
{
    uint8_t number[8];
    el_put_be32(number, keyless ? KEYLESS_LEN : stream->key_len);
    el_sha256_add(sha, number, 4);
    el_sha256_add(sha, stream->key, stream->key_len);
    el_put_be64(number, stream->count);
    el_sha256_add(sha, number, 8);
    el_sha256_add(sha, stream->chain, sizeof stream->chain);
}

int el_fold_finish(struct el_fold *fold, uint8_t digest[32])
{
    struct el_fold_stream **keyless = sort_streams(&fold->keyless);
    el_free(fold->sorted);
    fold->sorted = sort_streams(&fold->keyed);
    if (keyless == NULL || fold->sorted == NULL) {
        el_free(keyless);
        return EVLOG_ERR_NO_MEMORY;
    }
    struct el_sha256 sha;
    el_sha256_begin(&sha);
    fold->key_count = 0;
    for (size_t i = 0; i < fold->keyed.count; i++) {
        if (fold->sorted[i]->count > 0) {
            digest_add(&sha, fold->sorted[i], false);
            fold->key_count++;
        }
    }
    for (size_t i = 0; i < fold->keyless.count; i++) {
        if (keyless[i]->count > 0) {
            digest_add(&sha, keyless[i], true);
            fold->key_count++;
        }
    }
    el_sha256_end(&sha, digest);
    el_free(keyless);
    return 0;
}

bool el_fold_live(const struct el_fold *fold, size_t *cursor, struct el_fold_event *event, int64_t *version)
{
    while (*cursor < fold->keyed.count && !fold->sorted[*cursor]->is_live) {
        ++*cursor;
    }
    if (*cursor == fold->keyed.count) {
        return false;
    }
    const struct el_fold_stream *stream = fold->sorted[(*cursor)++];
    const struct live *live = stream->live;
    const uint8_t *type = live->bytes, *id = type + live->type_len, *value = id + live->id_len;
    event->key = el_slice_of(stream->key, stream->key_len);
    event->type = el_slice_of(live->has_type ? type : NULL, live->type_len);
    event->id = el_slice_of(live->has_id ? id : NULL, live->id_len);
    event->value = el_slice_of(value, live->value_len);
    event->headers = el_slice_of(value + live->value_len, live->headers_len);
    event->data = el_slice_of(live->data_is_value ? value : event->headers.data + live->headers_len, live->data_len);
    event->partition = live->partition;
    event->offset = live->offset;
    event->timestamp_ms = live->timestamp_ms;
    event->append_time_ns = live->append_time_ns;
    *version = live->version;
    return true;
}

/* One byte against a set; *set stands behind "[" and is moved behind "]". A set without end matches nothing. */
static bool in_set(const char **set, uint8_t c)
{
    const char *p = *set;
    bool negated = *p == '!' || *p == '^';
    bool found = false;
    p += negated;
    for (const char *first = p; *p != '\0' && (*p != ']' || p == first);) {
        uint8_t low = (uint8_t)*p++, high = low;
        if (*p == '-' && p[1] != ']' && p[1] != '\0') {
            high = (uint8_t)p[1];
            p += 2;
        }
        found = found || (c >= low && c <= high);
    }
    if (*p == '\0') {
        *set = p;
        return false;
    }
    *set = p + 1;
    return found != negated;
}

/* One byte against the pattern's next item; *pattern is moved behind it. */
static bool item_match(const char **pattern, uint8_t c)
{
    char item = *(*pattern)++;
    if (item == '?') {
        return true;
    }
    if (item == '[') {
        return in_set(pattern, c);
    }
    if (item == '\\' && **pattern != '\0') {
        item = *(*pattern)++;
    }
    return (uint8_t)item == c;
}

bool el_glob_match(const char *pattern, struct el_slice text)
{
    const char *star = NULL; /* behind the last *, to try again from there */
    size_t pos = 0, star_pos = 0;
    while (pos < text.len) {
        if (*pattern == '*') {
            star = ++pattern;
            star_pos = pos;
        } else if (*pattern != '\0' && item_match(&pattern, text.data[pos])) {
            pos++;
        } else if (star != NULL) {
            pattern = star;
            pos = ++star_pos;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}
