/* SPDX-License-Identifier: Apache-2.0 */
#include <wire/error_code.h>

#include <stddef.h>

static const struct {
    const char *name;
    bool retriable;
} error_codes[] = {
#define X(name, code, retry) [(code) + 1] = {#name, retry},
#include <wire/error_code.def>
#undef X
};

#define ERROR_CODE_COUNT (sizeof error_codes / sizeof error_codes[0])

static bool is_known(int code)
{
    return code >= -1 && code < (int)ERROR_CODE_COUNT - 1 && error_codes[code + 1].name != NULL;
}

const char *el_kafka_error_name(int code)
{
    return is_known(code) ? error_codes[code + 1].name : "UNKNOWN_ERROR_CODE";
}

bool el_kafka_error_retriable(int code)
{
    return is_known(code) && error_codes[code + 1].retriable;
}
