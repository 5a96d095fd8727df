/* SPDX-License-Identifier: Apache-2.0
 *
 * A row is one block with the key, which stays as long as the key is there, and one block with the value, made anew by
 * each event: event, headers, and the bytes of both. Sorting is put off until somebody walks.
 */
#include "table_rows.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <evlog/error.h>
#include <stdlib.h>

#define ROW_COST 96 /* bytes of a key in the map, in the sorted list, and what the allocator adds */

struct value {
    struct evlog_event event;
    size_t len; /* of the block */
};

struct el_table_row {
    struct value *value;
    size_t key_len;
    uint8_t key[];
};

void el_table_rows_init(struct el_table_rows *rows, uint64_t memory_max, bool with_headers)
{
    *rows = (struct el_table_rows){.memory_max = memory_max, .with_headers = with_headers};
    el_map_init(&rows->map, NULL);
}

void el_table_rows_free(struct el_table_rows *rows)
{
    for (size_t i = 0; i < rows->map.count; i++) {
        struct el_table_row *row = rows->map.entries[i].value;
        el_free(row->value);
        el_free(row);
    }
    el_map_destroy(&rows->map);
    el_free(rows->sorted);
    el_table_rows_init(rows, rows->memory_max, rows->with_headers);
}

static uint64_t row_len(const struct el_table_row *row)
{
    return ROW_COST + sizeof *row + row->key_len;
}

/* --- values ------------------------------------------------------------------------------------------------------- */

static size_t value_len(const struct evlog_event *event, bool with_headers)
{
    size_t len = sizeof(struct value) + event->value.len;
    for (size_t i = 0; with_headers && i < event->header_count; i++) {
        len += sizeof(struct evlog_header) + event->headers[i].key.len + event->headers[i].value.len;
    }
    return len;
}

static struct evlog_bytes put(uint8_t **p, struct evlog_bytes bytes)
{
    struct evlog_bytes copy = {bytes.data == NULL ? NULL : *p, bytes.len};
    if (bytes.len > 0) {
        memcpy(*p, bytes.data, bytes.len);
    }
    *p += bytes.len;
    return copy;
}

static struct value *value_new(const struct evlog_event *event, bool with_headers)
{
    size_t len = value_len(event, with_headers);
    struct value *value = el_malloc(len);
    if (value == NULL) {
        return NULL;
    }
    value->len = len;
    value->event = *event;
    value->event.headers = NULL;
    value->event.header_count = with_headers ? event->header_count : 0;
    struct evlog_header *headers = (struct evlog_header *)(value + 1);
    uint8_t *p = (uint8_t *)(headers + value->event.header_count);
    for (size_t i = 0; i < value->event.header_count; i++) {
        headers[i].key = put(&p, event->headers[i].key);
        headers[i].value = put(&p, event->headers[i].value);
    }
    value->event.headers = value->event.header_count > 0 ? headers : NULL;
    value->event.value = put(&p, event->value);
    EL_ASSERT(p == (uint8_t *)value + len);
    return value;
}

/* --- changes ------------------------------------------------------------------------------------------------------ */

static struct el_table_row *find(const struct el_table_rows *rows, struct el_slice key)
{
    return el_map_get(&rows->map, key.data, key.len);
}

/* The row of a new key. */
static int row_add(struct el_table_rows *rows, struct el_slice key, struct value *value, struct el_table_row **row)
{
    struct el_table_row *fresh = el_malloc(sizeof *fresh + key.len);
    if (fresh == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    fresh->value = value;
    fresh->key_len = key.len;
    memcpy(fresh->key, key.data, key.len);
    if (el_map_put(&rows->map, fresh->key, fresh->key_len, fresh) != 0) {
        el_free(fresh);
        return EVLOG_ERR_NO_MEMORY;
    }
    rows->memory_len += row_len(fresh);
    rows->is_sorted = false;
    *row = fresh;
    return 0;
}

static int set(struct el_table_rows *rows, const struct evlog_event *event, struct el_table_row *row,
               struct el_table_change *change)
{
    uint64_t len = value_len(event, rows->with_headers);
    uint64_t old_len = row != NULL ? row->value->len : 0;
    uint64_t added = len + (row == NULL ? ROW_COST + sizeof *row + event->key.len : 0);
    if (rows->memory_max > 0 && rows->memory_len - old_len + added > rows->memory_max) {
        return EVLOG_ERR_LIMIT;
    }
    struct value *value = value_new(event, rows->with_headers);
    if (value == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    if (row == NULL) {
        int rc = row_add(rows, el_slice_of(event->key.data, event->key.len), value, &row);
        if (rc != 0) {
            el_free(value);
            return rc;
        }
    } else {
        change->old = row->value;
        change->before = &row->value->event;
        row->value = value;
    }
    value->event.key = (struct evlog_bytes){row->key, row->key_len};
    rows->memory_len += value->len;
    rows->memory_len -= old_len;
    change->after = &value->event;
    return 0;
}

static void unset(struct el_table_rows *rows, struct el_table_row *row, struct el_table_change *change)
{
    (void)el_map_remove(&rows->map, row->key, row->key_len);
    rows->memory_len -= row_len(row) + row->value->len;
    rows->is_sorted = false;
    change->before = &row->value->event;
    change->old = row->value;
    change->gone = row;
}

int el_table_apply(struct el_table_rows *rows, const struct evlog_event *event, struct el_table_change *change)
{
    EL_ASSERT(event->key.data != NULL);
    struct el_table_row *row = find(rows, el_slice_of(event->key.data, event->key.len));
    *change = (struct el_table_change){.before = NULL};
    const struct evlog_event *there = row == NULL ? NULL : &row->value->event;
    if (there != NULL && there->partition != event->partition && event->append_time_ns < there->append_time_ns) {
        return 0; /* the key has moved to another partition since */
    }
    if (event->value.data != NULL) {
        return set(rows, event, row, change);
    }
    if (row != NULL) {
        unset(rows, row, change);
    }
    return 0;
}

void el_table_settle(struct el_table_change *change)
{
    el_free(change->old);
    el_free(change->gone);
    *change = (struct el_table_change){.before = NULL};
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

const struct evlog_event *el_table_get(const struct el_table_rows *rows, struct el_slice key)
{
    const struct el_table_row *row = key.data == NULL ? NULL : find(rows, key);
    return row == NULL ? NULL : &row->value->event;
}

static int key_order(const struct el_table_row *row, struct el_slice key)
{
    size_t len = EL_MIN(row->key_len, key.len);
    int order = len == 0 ? 0 : memcmp(row->key, key.data, len);
    return order != 0 ? order : (row->key_len > key.len) - (row->key_len < key.len);
}

static int by_key(const void *a_, const void *b_)
{
    const struct el_table_row *b = *(const struct el_table_row *const *)b_;
    return key_order(*(const struct el_table_row *const *)a_, el_slice_of(b->key, b->key_len));
}

static int sort(struct el_table_rows *rows)
{
    size_t count = rows->map.count;
    if (rows->is_sorted || count == 0) {
        return 0;
    }
    struct el_table_row **sorted = el_realloc(rows->sorted, count * sizeof(struct el_table_row *));
    if (sorted == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    rows->sorted = sorted;
    for (size_t i = 0; i < count; i++) {
        sorted[i] = rows->map.entries[i].value;
    }
    qsort(sorted, count, sizeof(struct el_table_row *), by_key);
    rows->is_sorted = true;
    return 0;
}

int el_table_next(struct el_table_rows *rows, struct el_slice after, const struct evlog_event **row)
{
    int rc = sort(rows);
    size_t low = 0, high = rows->map.count;
    if (rc != 0) {
        return rc;
    }
    while (low < high && after.data != NULL) {
        size_t middle = low + (high - low) / 2;
        bool above = key_order(rows->sorted[middle], after) > 0;
        high = above ? middle : high;
        low = above ? low : middle + 1;
    }
    if (low == rows->map.count) {
        return 0;
    }
    *row = &rows->sorted[low]->value->event;
    return 1;
}
