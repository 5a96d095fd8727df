/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CORE_JSON_SCAN_H
#define EL_CORE_JSON_SCAN_H

#include <core/json.h>

/* Check data and find member name (NULL for none) at the top level; *raw is {NULL, 0} when it is absent.
 * returns 0 | EVLOG_ERR_MALFORMED | EVLOG_ERR_TRUNCATED | EVLOG_ERR_LIMIT */
int json_scan(const void *data, size_t len, unsigned depth_max, const char *name, struct el_slice *raw,
              struct el_error *err);
/* "line 3, column 14 (byte 52): why" for byte pos of data; returns code. */
int json_scan_refuse(struct el_error *err, int code, const void *data, size_t pos, const char *why);

#endif
