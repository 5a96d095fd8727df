/* SPDX-License-Identifier: Apache-2.0
 *
 * Times, durations and sizes as people write them. Pure functions, any thread; no locale, no time zone database.
 *
 * The calendar is the proleptic Gregorian one; days are counted from 1 March of year 0, so that the leap day is the
 * last of its year. Times are nanoseconds since 1970 in 64 bits: 1677-09-21 .. 2262-04-11; what lies outside is
 * refused. Leap seconds do not exist here, as in POSIX: ":60" is refused.
 *
 * Source: RFC 3339.
 */
#include <core/bytes.h>
#include <core/timefmt.h>

#include <stdbool.h>
#include <stdio.h>

#define NS_PER_S 1000000000ll
#define NS_PER_MS 1000000ll
#define S_PER_DAY 86400ll
#define DAYS_PER_ERA 146097ll /* 400 years */
#define DAYS_TO_1970 719468ll /* from 0000-03-01 */

static const char *const time_forms =
    "a time is 2026-03-01T12:00:00Z (Z or an offset such as +02:00 is required), -1h, "
    "@1772366400000 (milliseconds since 1970), now, today 14:00 or yesterday 14:00 (UTC)";

struct civil {
    int year;
    int month; /* 1 .. 12 */
    int day;   /* 1 .. 31 */
};

/* Floor division: times before 1970 round down, not towards zero. */
static int64_t floor_div(int64_t v, int64_t by)
{
    return v / by - (v % by < 0);
}

static int64_t days_from_civil(struct civil c)
{
    int64_t year = c.month <= 2 ? c.year - 1 : c.year;
    int64_t era = floor_div(year, 400);
    int64_t year_of_era = year - era * 400;
    int64_t month = c.month > 2 ? c.month - 3 : c.month + 9;
    int64_t day_of_year = (153 * month + 2) / 5 + c.day - 1;
    return era * DAYS_PER_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - DAYS_TO_1970;
}

static struct civil civil_from_days(int64_t days)
{
    days += DAYS_TO_1970;
    int64_t era = floor_div(days, DAYS_PER_ERA);
    int64_t day_of_era = days - era * DAYS_PER_ERA;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / (DAYS_PER_ERA - 1)) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    struct civil c;
    c.day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    c.month = (int)(month < 10 ? month + 3 : month - 9);
    c.year = (int)(year_of_era + era * 400 + (c.month <= 2 ? 1 : 0));
    return c;
}

void el_time_format(char *text, int64_t unix_ns, int digits)
{
    int64_t seconds = floor_div(unix_ns, NS_PER_S);
    int64_t ns = unix_ns - seconds * NS_PER_S;
    int64_t days = floor_div(seconds, S_PER_DAY);
    int of_day = (int)(seconds - days * S_PER_DAY);
    struct civil c = civil_from_days(days);
    int len = snprintf(text, 40, "%04d-%02d-%02dT%02d:%02d:%02d", c.year, c.month, c.day, of_day / 3600,
                       of_day / 60 % 60, of_day % 60);
    if (digits >= 9) {
        len += snprintf(text + len, 40 - (size_t)len, ".%09d", (int)ns);
    } else if (digits >= 3) {
        len += snprintf(text + len, 40 - (size_t)len, ".%03d", (int)(ns / NS_PER_MS));
    }
    memcpy(text + len, "Z", 2);
}

/* Exactly count digits at *p; false when there are others. */
static bool take_digits(const char **p, int count, int *value)
{
    int v = 0;
    for (int i = 0; i < count; i++) {
        char c = (*p)[i];
        if (c < '0' || c > '9') {
            return false;
        }
        v = v * 10 + (c - '0');
    }
    *p += count;
    *value = v;
    return true;
}

static bool take_char(const char **p, char c)
{
    if (**p != c) {
        return false;
    }
    (*p)++;
    return true;
}

/* Decimal digits, at least one, without overflow. */
static bool take_number(const char **p, int64_t *value)
{
    int64_t v = 0;
    if (**p < '0' || **p > '9') {
        return false;
    }
    for (; **p >= '0' && **p <= '9'; (*p)++) {
        if (__builtin_mul_overflow(v, (int64_t)10, &v) || __builtin_add_overflow(v, (int64_t)(**p - '0'), &v)) {
            return false;
        }
    }
    *value = v;
    return true;
}

/* 1 .. 9 digits behind the point; more would be cut silently, so they are refused. */
static bool take_fraction(const char **p, int64_t *ns)
{
    int64_t v = 0;
    int count = 0;
    for (; **p >= '0' && **p <= '9'; (*p)++, count++) {
        if (count == 9) {
            return false;
        }
        v = v * 10 + (**p - '0');
    }
    if (count == 0) {
        return false;
    }
    for (; count < 9; count++) {
        v *= 10;
    }
    *ns = v;
    return true;
}

static bool take_date(const char **p, int64_t *days)
{
    struct civil c;
    if (!take_digits(p, 4, &c.year) || !take_char(p, '-') || !take_digits(p, 2, &c.month) || !take_char(p, '-') ||
        !take_digits(p, 2, &c.day)) {
        return false;
    }
    if (c.month < 1 || c.month > 12 || c.day < 1) {
        return false;
    }
    *days = days_from_civil(c);
    struct civil again = civil_from_days(*days);
    return again.month == c.month && again.day == c.day; /* 30 February comes back as March */
}

/* hh:mm[:ss[.fraction]] as nanoseconds of the day. */
static bool take_clock(const char **p, int64_t *ns_of_day)
{
    int hour, minute, second = 0;
    int64_t fraction = 0;
    if (!take_digits(p, 2, &hour) || !take_char(p, ':') || !take_digits(p, 2, &minute)) {
        return false;
    }
    if (take_char(p, ':')) {
        if (!take_digits(p, 2, &second)) {
            return false;
        }
        if (take_char(p, '.') && !take_fraction(p, &fraction)) {
            return false;
        }
    }
    if (hour > 23 || minute > 59 || second > 59) {
        return false;
    }
    *ns_of_day = (hour * 3600ll + minute * 60ll + second) * NS_PER_S + fraction;
    return true;
}

/* Z, or +hh:mm / -hh:mm in seconds east of UTC. */
static bool take_zone(const char **p, int64_t *east_s)
{
    int hour, minute;
    if (take_char(p, 'Z') || take_char(p, 'z')) {
        *east_s = 0;
        return true;
    }
    bool west = **p == '-';
    if (!take_char(p, '+') && !take_char(p, '-')) {
        return false;
    }
    if (!take_digits(p, 2, &hour) || !take_char(p, ':') || !take_digits(p, 2, &minute) || hour > 23 || minute > 59) {
        return false;
    }
    *east_s = (hour * 3600ll + minute * 60ll) * (west ? -1 : 1);
    return true;
}

/* days and ns_of_day as one number; false when it does not fit into 64 bits. */
static bool join(int64_t days, int64_t ns_of_day, int64_t east_s, int64_t *unix_ns)
{
    int64_t seconds = days * S_PER_DAY - east_s;
    __int128 ns = (__int128)seconds * NS_PER_S + ns_of_day;
    if (ns > INT64_MAX || ns < INT64_MIN) {
        return false;
    }
    *unix_ns = (int64_t)ns;
    return true;
}

static bool parse_rfc3339(const char *p, int64_t *unix_ns)
{
    int64_t days, ns_of_day, east_s;
    if (!take_date(&p, &days)) {
        return false;
    }
    if (!take_char(&p, 'T') && !take_char(&p, 't') && !take_char(&p, ' ')) {
        return false;
    }
    return take_clock(&p, &ns_of_day) && take_zone(&p, &east_s) && *p == '\0' && join(days, ns_of_day, east_s, unix_ns);
}

/* "14:00" of the day that lies days_back before now. */
static bool parse_day(const char *p, int64_t now_ns, int days_back, int64_t *unix_ns)
{
    int64_t ns_of_day;
    int64_t days = floor_div(now_ns, S_PER_DAY * NS_PER_S) - days_back;
    return take_clock(&p, &ns_of_day) && *p == '\0' && join(days, ns_of_day, 0, unix_ns);
}

static bool parse_unix_ms(const char *p, int64_t *unix_ns)
{
    int64_t ms;
    bool before = take_char(&p, '-');
    if (!take_number(&p, &ms) || *p != '\0') {
        return false;
    }
    return !__builtin_mul_overflow(before ? -ms : ms, NS_PER_MS, unix_ns);
}

/* Milliseconds of one unit; 0 when unknown. */
static int64_t unit_ms(const char *unit)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(units[i].name, unit) == 0) {
            return units[i].ms;
        }
    }
    return 0;
}

/* "5m"; the unit may be left out when bare is true and means milliseconds then. */
static bool parse_duration(const char *p, bool bare, int64_t *ms)
{
    int64_t count;
    if (!take_number(&p, &count)) {
        return false;
    }
    int64_t each = *p == '\0' && bare ? 1 : unit_ms(p);
    return each != 0 && !__builtin_mul_overflow(count, each, ms);
}

static bool parse_back(const char *p, int64_t now_ns, int64_t *unix_ns)
{
    int64_t ms, ns;
    return parse_duration(p, false, &ms) && !__builtin_mul_overflow(ms, NS_PER_MS, &ns) &&
           !__builtin_sub_overflow(now_ns, ns, unix_ns);
}

int el_time_parse(const char *text, int64_t now_ns, int64_t *unix_ns, struct el_error *err)
{
    int64_t found = now_ns;
    bool ok;
    if (strcmp(text, "now") == 0) {
        ok = true;
    } else if (text[0] == '-') {
        ok = parse_back(text + 1, now_ns, &found);
    } else if (text[0] == '@') {
        ok = parse_unix_ms(text + 1, &found);
    } else if (strncmp(text, "today ", 6) == 0) {
        ok = parse_day(text + 6, now_ns, 0, &found);
    } else if (strncmp(text, "yesterday ", 10) == 0) {
        ok = parse_day(text + 10, now_ns, 1, &found);
    } else {
        ok = parse_rfc3339(text, &found);
    }
    if (!ok) {
        return el_error_set(err, EVLOG_ERR_ARGUMENT, "\"%.64s\" is not a time: %s", text, time_forms);
    }
    *unix_ns = found;
    return 0;
}

int el_duration_parse(const char *text, int64_t *ms, struct el_error *err)
{
    int64_t found = -1;
    if (strcmp(text, "-1") != 0 && !parse_duration(text, true, &found)) {
        return el_error_set(err, EVLOG_ERR_ARGUMENT,
                            "\"%.64s\" is not a duration: write 250ms, 30s, 5m, 1h, 7d, plain milliseconds, or -1",
                            text);
    }
    *ms = found;
    return 0;
}

/* Bytes of one unit; 0 when unknown. A bare "M" is refused: people mean two different numbers by it. */
static int64_t unit_len(const char *unit)
{
    static const struct {
        const char *name;
        int64_t len;
    } units[] = {{"", 1},
                 {"B", 1},
                 {"KB", 1000},
                 {"kB", 1000},
                 {"MB", 1000000},
                 {"GB", 1000000000},
                 {"TB", 1000000000000},
                 {"KiB", 1ll << 10},
                 {"MiB", 1ll << 20},
                 {"GiB", 1ll << 30},
                 {"TiB", 1ll << 40}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(units[i].name, unit) == 0) {
            return units[i].len;
        }
    }
    return 0;
}

int el_size_parse(const char *text, uint64_t *len, struct el_error *err)
{
    const char *p = text;
    int64_t count, found;
    if (!take_number(&p, &count) || unit_len(p) == 0 || __builtin_mul_overflow(count, unit_len(p), &found)) {
        return el_error_set(err, EVLOG_ERR_ARGUMENT, "\"%.64s\" is not a size: write 64MiB, 1GB, 512KiB or plain bytes",
                            text);
    }
    *len = (uint64_t)found;
    return 0;
}
