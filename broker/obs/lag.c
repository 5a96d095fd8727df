/* SPDX-License-Identifier: Apache-2.0
 *
 * Lag of groups on the page. Entries of all lists are sorted by names; those of one group and topic become one row:
 * records are added up, the age is that of the oldest event that waits. Rows beyond the limit are left out, those with
 * the fewest records first, and counted.
 *
 * Names of groups come from clients: they are escaped as the text format wants it, and what is not UTF-8 is replaced.
 */
#include <obs/lag.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/utf8.h>

#include <inttypes.h>
#include <stdlib.h>

#define TEXT_PER_ENTRY 64u
#define TEXT_MIN (64u << 10)
#define NAME_SHOWN_MAX 256u /* longer group ids are cut: labels are for people */

int lag_list_init(struct lag_list *list, uint32_t entry_max)
{
    *list = (struct lag_list){.entry_max = entry_max};
    list->text_max = TEXT_MIN + (size_t)entry_max * TEXT_PER_ENTRY;
    list->entries = el_calloc(EL_MAX(entry_max, 1u), sizeof *list->entries);
    list->text = el_malloc(list->text_max);
    if (list->entries == NULL || list->text == NULL) {
        lag_list_free(list);
        return EVLOG_ERR_NO_MEMORY;
    }
    return 0;
}

void lag_list_free(struct lag_list *list)
{
    el_free(list->entries);
    el_free(list->text);
    *list = (struct lag_list){.entry_max = 0};
}

void lag_list_reset(struct lag_list *list)
{
    list->entry_count = 0;
    list->text_len = 0;
    list->left_out = 0;
}

/* Position of a name, that of the entry before when it is the same. returns false when there is no room */
static bool text_add(struct lag_list *list, struct el_slice name, const uint32_t *before, uint32_t *pos)
{
    size_t len = EL_MIN(name.len, (size_t)NAME_SHOWN_MAX);
    if (before != NULL && strlen(list->text + *before) == len && memcmp(list->text + *before, name.data, len) == 0) {
        *pos = *before;
        return true;
    }
    if (len + 1 > list->text_max - list->text_len) {
        return false;
    }
    *pos = (uint32_t)list->text_len;
    for (size_t i = 0; i < len; i++) {
        list->text[list->text_len++] = (char)(name.data[i] == 0 ? '?' : name.data[i]);
    }
    list->text[list->text_len++] = '\0';
    return true;
}

void lag_list_add(struct lag_list *list, struct el_slice group, struct el_slice topic, const struct lag_entry *entry)
{
    const struct lag_entry *last = list->entry_count == 0 ? NULL : &list->entries[list->entry_count - 1];
    struct lag_entry added = *entry;
    if (list->entry_count == list->entry_max ||
        !text_add(list, group, last == NULL ? NULL : &last->group_pos, &added.group_pos) ||
        !text_add(list, topic, last == NULL ? NULL : &last->topic_pos, &added.topic_pos)) {
        list->left_out++;
        return;
    }
    list->entries[list->entry_count++] = added;
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

struct row {
    bool letters;
    const char *group, *topic;
    int32_t partition;
    int64_t records;
    uint64_t since_ns;
};

static int by_name(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = (int)x->letters - (int)y->letters;
    order = order != 0 ? order : strcmp(x->group, y->group);
    order = order != 0 ? order : strcmp(x->topic, y->topic);
    return order != 0 ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

static int by_records(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = (int)x->letters - (int)y->letters;
    order = order != 0 ? order : (x->records < y->records) - (x->records > y->records);
    return order != 0 ? order : by_name(a, b);
}

/* One row for each entry that is known; *count of them. NULL: no memory */
static struct row *rows_of(const struct lag_page *page, size_t *count)
{
    size_t max = 1;
    for (uint32_t i = 0; i < page->list_count; i++) {
        max += page->lists[i].entry_count;
    }
    struct row *rows = el_calloc(max, sizeof *rows);
    *count = 0;
    for (uint32_t i = 0; i < page->list_count && rows != NULL; i++) {
        const struct lag_list *list = &page->lists[i];
        for (uint32_t k = 0; k < list->entry_count; k++) {
            const struct lag_entry *e = &list->entries[k];
            if (e->records < 0) {
                continue; /* its topic is gone */
            }
            rows[(*count)++] = (struct row){
                .letters = e->kind == LAG_LETTERS,
                .group = e->kind == LAG_LETTERS ? "" : list->text + e->group_pos, /* one topic may be that of many */
                .topic = list->text + e->topic_pos,
                .partition = e->partition,
                .records = e->records,
                .since_ns = e->records > 0 ? e->since_ns : 0,
            };
        }
    }
    return rows;
}

/* Rows sorted by name: those of one group and topic become one. A partition counts once. returns how many are left */
static size_t rows_merge(struct row *rows, size_t count)
{
    size_t kept = 0;
    int32_t partition = -1;
    for (size_t i = 0; i < count; i++) {
        struct row *into = kept == 0 ? NULL : &rows[kept - 1];
        bool same = into != NULL && into->letters == rows[i].letters && strcmp(into->group, rows[i].group) == 0 &&
                    strcmp(into->topic, rows[i].topic) == 0;
        if (!same) {
            partition = rows[i].partition;
            rows[kept++] = rows[i];
        } else if (rows[i].partition != partition) {
            partition = rows[i].partition;
            into->records += rows[i].records;
            bool older = into->since_ns == 0 || (rows[i].since_ns != 0 && rows[i].since_ns < into->since_ns);
            into->since_ns = older ? rows[i].since_ns : into->since_ns;
        }
    }
    return kept;
}

static void add_label(struct el_buffer *out, const char *name, const char *text)
{
    size_t len = strlen(text);
    el_buffer_printf(out, "%s=\"", name);
    for (size_t i = 0; i < len;) {
        uint32_t point = 0;
        size_t char_len = el_utf8_next(text + i, len - i, &point);
        if (char_len == 0) {
            el_buffer_append_str(out, "\xef\xbf\xbd");
            char_len = 1;
        } else if (point == '\\' || point == '"') {
            el_buffer_append_char(out, '\\');
            el_buffer_append_char(out, (char)point);
        } else if (point == '\n') {
            el_buffer_append_str(out, "\\n");
        } else {
            el_buffer_append(out, text + i, char_len);
        }
        i += char_len;
    }
    el_buffer_append_char(out, '"');
}

enum shown { SHOWN_RECORDS, SHOWN_SECONDS, SHOWN_LETTERS };

static void add_rows(struct el_buffer *out, const struct lag_page *page, const struct row *rows, size_t count,
                     enum shown shown)
{
    static const char *const names[] = {"evlog_group_lag_records", "evlog_group_lag_seconds", "evlog_dlq_records"};
    uint32_t added = 0;
    for (size_t i = 0; i < count && added < page->rows_max; i++) {
        const struct row *row = &rows[i];
        if (row->letters != (shown == SHOWN_LETTERS)) {
            continue;
        }
        added++;
        el_buffer_printf(out, "%s{", names[shown]);
        if (shown != SHOWN_LETTERS) {
            add_label(out, "group", row->group);
            el_buffer_append_char(out, ',');
        }
        add_label(out, "topic", row->topic);
        if (shown == SHOWN_SECONDS) {
            uint64_t ns = row->since_ns != 0 && page->now_ns > row->since_ns ? page->now_ns - row->since_ns : 0;
            el_buffer_printf(out, "} %" PRIu64 ".%03" PRIu64 "\n", ns / 1000000000u, ns / 1000000u % 1000u);
        } else {
            el_buffer_printf(out, "} %" PRId64 "\n", row->records);
        }
    }
}

static uint64_t left_out(const struct lag_page *page, const struct row *rows, size_t count)
{
    uint64_t n = page->late_count;
    size_t of[2] = {0, 0};
    for (uint32_t i = 0; i < page->list_count; i++) {
        n += page->lists[i].left_out;
    }
    for (size_t i = 0; i < count; i++) {
        of[rows[i].letters]++;
    }
    for (size_t i = 0; i < 2; i++) {
        n += of[i] > page->rows_max ? of[i] - page->rows_max : 0;
    }
    return n;
}

void lag_render(const struct lag_page *page, struct el_buffer *out)
{
    size_t count;
    struct row *rows = rows_of(page, &count);
    if (rows == NULL) {
        out->err = EVLOG_ERR_NO_MEMORY;
        return;
    }
    qsort(rows, count, sizeof *rows, by_name);
    count = rows_merge(rows, count);
    qsort(rows, count, sizeof *rows, by_records);
#define METRIC_ROWS(SHOWN, name, labels, help)                                                                         \
    el_buffer_append_str(out, "# HELP " name " " help "\n# TYPE " name " gauge\n");                                    \
    add_rows(out, page, rows, count, SHOWN_##SHOWN);
#include <obs/metrics_rows.def>
#undef METRIC_ROWS
    el_buffer_printf(out,
                     "# HELP evlog_group_lag_left_out What the rows of lag do not show, for want of room or time.\n"
                     "# TYPE evlog_group_lag_left_out gauge\nevlog_group_lag_left_out %" PRIu64 "\n",
                     left_out(page, rows, count));
    el_free(rows);
}
