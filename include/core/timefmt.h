/* SPDX-License-Identifier: Apache-2.0
 *
 * Times, durations and sizes as people write them. Pure functions.
 */
#ifndef EL_CORE_TIMEFMT_H
#define EL_CORE_TIMEFMT_H

#include <core/err.h>
#include <stdint.h>

/* "2026-03-01T12:00:00.123Z" with digits 0, 3 or 9 of fraction, UTC. text[40]. */
void el_time_format(char *text, int64_t unix_ns, int digits);
/* RFC 3339 (offset required; fraction up to 9 digits; seconds may be left out), "-1h" (relative to now_ns), "@unix_ms",
 * "now", "today 14:00", "yesterday 14:00" (UTC). returns 0 | EVLOG_ERR_ARGUMENT with a text that says what is
 * allowed */
int el_time_parse(const char *text, int64_t now_ns, int64_t *unix_ns, struct el_error *err);
/* "250ms", "5m", "1h", "7d", or plain milliseconds; "-1" is allowed. */
int el_duration_parse(const char *text, int64_t *ms, struct el_error *err);
/* "64MiB", "1GB", "4096". */
int el_size_parse(const char *text, uint64_t *len, struct el_error *err);

#endif
