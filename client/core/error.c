/* SPDX-License-Identifier: Apache-2.0 */
#include <evlog/error.h>

#include <stddef.h>

struct error_row {
    int code;
    enum evlog_error_class class_of;
    int kafka_code;
    const char *name;
    const char *text;
};

static const struct error_row error_rows[] = {
    {EVLOG_OK, EVLOG_CLASS_NONE, 0, "EVLOG_OK", "success"},
#define EVLOG_ERROR(name, number, class_, kafka_code, text)                                                            \
    {(number), EVLOG_CLASS_##class_, (kafka_code), "EVLOG_ERR_" #name, text},
#include <evlog/error.def>
#undef EVLOG_ERROR
};

#define ERROR_ROW_COUNT (sizeof(error_rows) / sizeof(error_rows[0]))

/* Codes are numbered without gaps so far, so the row is usually at its own index; a released code that was retired
 * leaves a gap, and the loop still finds the others. */
static const struct error_row *error_row_find(int code)
{
    if (code <= 0 && code > -(int)ERROR_ROW_COUNT && error_rows[-code].code == code) {
        return &error_rows[-code];
    }
    for (size_t i = 0; i < ERROR_ROW_COUNT; i++) {
        if (error_rows[i].code == code) {
            return &error_rows[i];
        }
    }
    return NULL;
}

const char *evlog_error_name(int code)
{
    const struct error_row *row = error_row_find(code);
    return row == NULL ? "EVLOG_ERR_?" : row->name;
}

const char *evlog_error_text(int code)
{
    const struct error_row *row = error_row_find(code);
    return row == NULL ? "unknown error" : row->text;
}

enum evlog_error_class evlog_error_class_of(int code)
{
    const struct error_row *row = error_row_find(code);
    return row == NULL ? EVLOG_CLASS_FATAL : row->class_of;
}

int evlog_error_kafka(int code)
{
    const struct error_row *row = error_row_find(code);
    return row == NULL ? -1 : row->kafka_code;
}
