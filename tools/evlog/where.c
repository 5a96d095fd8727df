/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading places in a log. "earliest", "beginning" and "latest" are understood too.
 */
#include "where.h"

#include <core/timefmt.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS 1000000

bool where_count(const char *text, int64_t *number)
{
    char *end;
    *number = strtoll(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0';
}

/* "@TIME": milliseconds when it is only digits, else as every time. */
static int parse_time(const struct cli *cli, const char *option, const char *text, struct where *where)
{
    struct el_error err = {0};
    int64_t ns;
    where->kind = WHERE_TIME;
    if (where_count(text, &where->number)) {
        return CLI_OK;
    }
    if (el_time_parse(text, cli->now_ns, &ns, &err) != 0) {
        return cli_error(cli, CLI_ERR_VALUE, "%s @%s: %s", option, text, err.text);
    }
    where->number = EL_MAX(ns / NS_PER_MS, 0);
    return CLI_OK;
}

int where_parse(const struct cli *cli, const char *option, const char *text, struct where *where)
{
    bool ok = true;
    if (strcmp(text, "start") == 0 || strcmp(text, "beginning") == 0 || strcmp(text, "earliest") == 0) {
        where->kind = WHERE_START;
    } else if (strcmp(text, "end") == 0 || strcmp(text, "latest") == 0) {
        where->kind = WHERE_END;
    } else if (text[0] == '@') {
        return parse_time(cli, option, text + 1, where);
    } else if (text[0] == '-') {
        where->kind = WHERE_BEFORE_END;
        ok = where_count(text + 1, &where->number);
    } else if (text[0] == '+') {
        where->kind = WHERE_BEHIND_START;
        ok = where_count(text + 1, &where->number);
    } else {
        where->kind = WHERE_OFFSET;
        ok = where_count(text, &where->number);
    }
    return ok ? CLI_OK
              : cli_error(cli, CLI_ERR_VALUE, "%s %s: start, end, an offset, -N, +N or @TIME are", option, text);
}

int64_t where_offset(const struct where *where, int64_t start, int64_t end, int64_t at_time)
{
    switch (where->kind) {
    case WHERE_START:
        return start;
    case WHERE_END:
        return end;
    case WHERE_OFFSET:
        return EL_MAX(start, EL_MIN(where->number, end));
    case WHERE_BEFORE_END:
        return EL_MAX(start, end - EL_MIN(where->number, end));
    case WHERE_BEHIND_START:
        return where->number > end - start ? end : start + where->number;
    case WHERE_TIME:
        return at_time < 0 ? end : at_time;
    }
    return start;
}
