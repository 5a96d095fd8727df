/* SPDX-License-Identifier: Apache-2.0
 *
 * The compiled filter of a work group: event patterns of which any may match. Made on each shard when control tells the
 * settings; the group holds it, and so does each look at records that is under way, on whichever thread, for which it
 * only is to be read. Who takes and gives back is the owner shard.
 */
#ifndef EL_LEASE_LEASE_FILTER_H
#define EL_LEASE_LEASE_FILTER_H

#include <core/pattern.h>
#include <format/record.h>
#include <lease/lease_state.h>

struct group_config;

struct lease_filter {
    struct leases *ls;
    uint32_t holder_count;
    size_t charged; /* bytes of the budget */
    struct el_arena arena;
    const struct el_pattern *pattern;
};

/* Compile what the settings say.
 *
 * filter    written on success; NULL: there is no filter, and everything matches. Else held once
 * err       NULL, or what is wrong, and where in the text
 * returns   0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_INVALID_CONFIG */
int lease_filter_make(struct leases *ls, const struct group_config *config, struct lease_filter **filter,
                      struct el_error *err);
/* NULL is ignored, and given back. */
struct lease_filter *lease_filter_hold(struct lease_filter *filter);
/* The last one frees it; NULL is ignored. */
void lease_filter_let_go(struct lease_filter *filter);

/* Match a record; scratch has el_pattern_scratch_len() bytes. On any thread. */
enum el_pattern_verdict lease_filter_match(const struct el_pattern *pattern, const struct el_record *record,
                                           void *scratch);

#endif
