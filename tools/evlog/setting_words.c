/* SPDX-License-Identifier: Apache-2.0 */
#include "setting_words.h"

#include <core/timefmt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool ends_with(const char *name, const char *end)
{
    size_t len = strlen(name), end_len = strlen(end);
    return len > end_len && strcmp(name + len - end_len, end) == 0;
}

const char *setting_plain(const char *name, const char *value, char number[SETTING_NUMBER_MAX])
{
    int64_t ms;
    uint64_t bytes;
    if (value == NULL || value[strspn(value, "+-0123456789")] == '\0') {
        return value;
    }
    if (ends_with(name, ".ms") && el_duration_parse(value, &ms, NULL) == 0) {
        (void)snprintf(number, SETTING_NUMBER_MAX, "%" PRId64, ms);
        return number;
    }
    if (ends_with(name, ".bytes") && el_size_parse(value, &bytes, NULL) == 0) {
        (void)snprintf(number, SETTING_NUMBER_MAX, "%" PRIu64, bytes);
        return number;
    }
    return value;
}

const char *setting_units(const char *name)
{
    return ends_with(name, ".ms")      ? "milliseconds, or a duration such as 500ms, 30s, 10m or 7d"
           : ends_with(name, ".bytes") ? "bytes, or a size such as 64MiB or 1GB"
                                       : "";
}
