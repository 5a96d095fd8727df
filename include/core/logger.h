/* SPDX-License-Identifier: Apache-2.0
 *
 * Log lines: one aligned line or one JSON object each, to stderr. Any thread. Never secrets, never event payloads.
 */
#ifndef EL_CORE_LOGGER_H
#define EL_CORE_LOGGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum el_log_level { EL_LOG_ERROR, EL_LOG_WARN, EL_LOG_INFO, EL_LOG_DEBUG };

/* Lines above level are dropped; json chooses the shape. A sink, when set, takes finished lines instead of stderr. */
void el_log_setup(enum el_log_level level, bool json);
typedef void (*el_log_sink_fn)(void *arg, enum el_log_level level, const char *area, const char *text);
void el_log_sink(el_log_sink_fn sink, void *arg);
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

#endif
