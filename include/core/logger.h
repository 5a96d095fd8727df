/* SPDX-License-Identifier: Apache-2.0
 *
 * Log lines: one aligned line or one JSON object each, to stderr. Any thread. Never secrets, never event payloads.
 */
#ifndef EL_CORE_LOGGER_H
#define EL_CORE_LOGGER_H

#include <core/bytes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum el_log_level { EL_LOG_ERROR, EL_LOG_WARN, EL_LOG_INFO, EL_LOG_DEBUG };

/* Lines above level, or above that of their area, are dropped; of one format and second only EL_LOG_PER_S_MAX reach
 * stderr, and the next one says how many did not. json chooses the shape. A sink, when set, takes finished lines in
 * place of stderr. */
void el_log_setup(enum el_log_level level, bool json);
typedef void (*el_log_sink_fn)(void *arg, enum el_log_level level, const char *area, const char *text);
void el_log_sink(el_log_sink_fn sink, void *arg);
#define EL_LOG_PER_S_MAX 100u

/* area: folder name such as "storage". Text is one sentence; control characters are escaped. */
void el_log(enum el_log_level level, const char *area, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A part of a line that programs look for: its own member of the JSON object, " name=value" in a text line. */
struct el_log_field {
    const char *name; /* [a-z_]+ */
    const char *text; /* shown in quotes, escaped; NULL: the number */
    int64_t number;
};
/* The same with fields[count]; those that no longer fit into the line are left out. */
void el_log_fields(enum el_log_level level, const char *area, const struct el_log_field *fields, size_t count,
                   const char *text);

/* --- levels while it runs: log_level.c; any thread ---------------------------------------------------------------- */

#define EL_LOG_ROOT "root" /* all areas that have no level of their own */

/* Areas by name, sorted; index below el_log_area_count(). */
size_t el_log_area_count(void);
const char *el_log_area_name(size_t index);
/* The root's level as the configuration has it; what was set by el_log_level_set() stays. */
void el_log_level_configure(enum el_log_level level);
/* Is it EL_LOG_ROOT, or an area? */
bool el_log_level_known(struct el_slice area);
/* Set the level of an area or of the root; NULL takes that back. returns false when there is no such area */
bool el_log_level_set(struct el_slice area, const enum el_log_level *level);
/* The level in effect. */
enum el_log_level el_log_level_of(struct el_slice area);
/* Is such a line logged? For work that only a line needs. */
bool el_log_wanted(enum el_log_level level, const char *area);

#endif
