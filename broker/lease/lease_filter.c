/* SPDX-License-Identifier: Apache-2.0
 *
 * See lease_filter.h. A compiled filter takes some ten times the memory of its text, at most FILTER_LEN_MAX, out of the
 * budget of work groups: a shard that has not got it is told the settings again later.
 */
#include <lease/lease_filter.h>

#include <config/group_config.h>

#define FILTER_LEN_MAX (2u << 20)

static struct el_slice without_blanks(struct el_slice text)
{
    while (text.len > 0 && strchr(" \t\r\n", text.data[0]) != NULL) {
        text = el_slice_of(text.data + 1, text.len - 1);
    }
    return text;
}

int lease_filter_make(struct leases *ls, const struct group_config *config, struct lease_filter **filter,
                      struct el_error *err)
{
    struct el_slice text = group_config_text(config, GROUP_SETTING_FILTER);
    if (without_blanks(text).len == 0) {
        *filter = NULL;
        return 0;
    }
    struct lease_filter *made = lease_alloc(ls, sizeof *made);
    uint64_t budget = ls->cfg.memory_max / LEASE_PIECES_SHARE;
    if (made == NULL || ls->memory_used >= budget) {
        lease_free(ls, made);
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "filter: group.memory.max is used up");
    }
    made->ls = ls;
    made->holder_count = 1;
    el_arena_init(&made->arena, ls->buddy, EL_MIN((size_t)(budget - ls->memory_used), (size_t)FILTER_LEN_MAX));
    int code = el_pattern_compile(text.data, text.len, NULL, &made->arena, &made->pattern, err);
    made->charged = made->arena.used;
    ls->memory_used += made->charged;
    if (code != 0) {
        lease_filter_let_go(made);
        el_error_wrap(err, "filter");
        return code == EVLOG_ERR_NO_MEMORY ? code : EVLOG_ERR_INVALID_CONFIG;
    }
    *filter = made;
    return 0;
}

struct lease_filter *lease_filter_hold(struct lease_filter *filter)
{
    if (filter != NULL) {
        EL_ASSERT(filter->holder_count > 0);
        filter->holder_count++;
    }
    return filter;
}

void lease_filter_let_go(struct lease_filter *filter)
{
    if (filter == NULL) {
        return;
    }
    struct leases *ls = filter->ls;
    EL_ASSERT(filter->holder_count > 0);
    EL_ASSERT(ls->memory_used >= filter->charged);
    if (--filter->holder_count > 0) {
        return;
    }
    ls->memory_used -= filter->charged;
    el_arena_reset(&filter->arena);
    lease_free(ls, filter);
}

/* --- matching ----------------------------------------------------------------------------------------------------- */

static bool next_header(void *headers, struct el_slice *name, struct el_slice *value)
{
    struct el_header header;
    if (!el_header_next(headers, &header)) {
        return false;
    }
    *name = header.key;
    *value = header.value;
    return true;
}

enum el_pattern_verdict lease_filter_match(const struct el_pattern *pattern, const struct el_record *record,
                                           void *scratch)
{
    struct el_reader headers = record->headers;
    const struct el_pattern_event event = {
        .key = record->key,
        .value = record->value,
        .header_next = next_header,
        .headers = &headers,
    };
    return el_pattern_match(pattern, &event, scratch, EL_PATTERN_STEPS_DEFAULT);
}
