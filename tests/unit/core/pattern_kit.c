/* SPDX-License-Identifier: Apache-2.0 */
#include "pattern_kit.h"

#include "../../lib/test.h"

#include <core/alloc.h>
#include <string.h>

const char *kit_quoted(struct el_arena *arena, const char *text)
{
    char *copy = text == NULL ? NULL : el_arena_strndup(arena, text, strlen(text));
    for (char *p = copy; p != NULL && *p != '\0'; p++) {
        *p = *p == '\'' ? '"' : *p;
    }
    return copy;
}

const struct el_pattern *kit_compile(struct el_arena *arena, const char *text)
{
    text = kit_quoted(arena, text);
    const struct el_pattern *pattern = NULL;
    struct el_error err = {0};
    if (el_pattern_compile(text, strlen(text), NULL, arena, &pattern, &err) != 0) {
        fail_msg("%s\nis refused: %s", text, err.text);
    }
    return pattern;
}

static bool header_next(void *cursor, struct el_slice *name, struct el_slice *value)
{
    const char **p = cursor;
    if (*p == NULL || **p == '\0') {
        return false;
    }
    size_t len = strcspn(*p, ";"), name_len = strcspn(*p, "=;");
    *name = el_slice_of(*p, name_len);
    *value = name_len == len ? el_slice_of(NULL, 0) : el_slice_of(*p + name_len + 1, len - name_len - 1);
    *p += len + ((*p)[len] == ';');
    return true;
}

enum el_pattern_verdict kit_match(const struct el_pattern *pattern, const struct kit_event *event, uint32_t steps_max)
{
    const char *headers = event->headers;
    struct el_pattern_event given = {
        .key = el_slice_str(event->key),
        .header_next = event->headers == NULL ? NULL : header_next,
        .headers = (void *)&headers,
    };
    size_t scratch_len = el_pattern_scratch_len(pattern);
    uint8_t *scratch = el_malloc(scratch_len);
    uint8_t *payload = event->payload.data == NULL ? NULL : el_memdup(event->payload.data, event->payload.len);
    assert_non_null(scratch);
    memset(scratch, 0xff, scratch_len);
    given.value = el_slice_of(payload, event->payload.len);
    enum el_pattern_verdict verdict = el_pattern_match(pattern, &given, scratch, steps_max);
    el_free(payload);
    el_free(scratch);
    return verdict;
}

const char *kit_verdict_name(enum el_pattern_verdict verdict)
{
    static const char *const names[] = {"no match", "match", "unparsable", "too many steps"};
    return names[verdict];
}

static void check_row(const struct kit_row *row)
{
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    const struct el_pattern *pattern = kit_compile(&arena, row->pattern);
    struct kit_event event = {row->key, row->headers, el_slice_str(kit_quoted(&arena, row->payload))};
    enum el_pattern_verdict verdict = kit_match(pattern, &event, EL_PATTERN_STEPS_DEFAULT);
    if (verdict != row->verdict) {
        fail_msg("%s\nof payload %s, headers %s, key %s: %s, not %s", row->pattern, row->payload, row->headers,
                 row->key, kit_verdict_name(verdict), kit_verdict_name(row->verdict));
    }
    el_arena_reset(&arena);
}

void kit_check(const struct kit_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        check_row(&rows[i]);
    }
}
