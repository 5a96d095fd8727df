/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog check: one question for monitors that speak the way of Nagios' plugins. One line, and an exit code of theirs:
 * 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN (the question was wrong, or nobody answered; of "ready" that is CRITICAL).
 *
 * All of it is on the server's HTTP port. A value at or above its limit has crossed it; free space and days that are
 * left at or below.
 */
#include "http_page.h"

#include <stdlib.h>
#include <string.h>

#define NAME_MAX_SHOWN 300

enum state { STATE_OK, STATE_WARNING, STATE_CRITICAL, STATE_UNKNOWN };

struct check {
    struct cli *cli;
    const char *http, *group, *topic;
    int64_t warn, critical; /* -1: not given */
    bool by_records;
    /* the worst so far */
    double value;
    char name[2 * NAME_MAX_SHOWN];
    size_t count;
};

static int say(const char *before, enum state state, const char *text)
{
    static const char *const words[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
    printf("EVLOG %s - %s%s\n", words[state], before, text);
    return (int)state;
}

static int unknown(const char *text)
{
    return say("", STATE_UNKNOWN, text);
}

static enum state judge(const struct check *check, double value)
{
    if (check->critical >= 0 && value >= (double)check->critical) {
        return STATE_CRITICAL;
    }
    return check->warn >= 0 && value >= (double)check->warn ? STATE_WARNING : STATE_OK;
}

/* --- ready -------------------------------------------------------------------------------------------------------- */

static int check_ready(struct check *check)
{
    struct http_page page = {.status = 0};
    struct el_error err = {.code = 0};
    int rc = http_page_get(check->cli, check->http, "/health/ready", &page, &err);
    char text[600];
    (void)snprintf(text, sizeof text, "%s", rc == 0 ? el_buffer_text(&page.text) : err.text);
    text[strcspn(text, "\n|")] = '\0'; /* a bar begins what monitors draw */
    el_buffer_free(&page.text);
    if (rc != 0 || page.status != 200) {
        return say("not ready: ", STATE_CRITICAL, text);
    }
    return say("", strstr(text, "\"warning\"") != NULL ? STATE_WARNING : STATE_OK, text);
}

/* --- numbers ------------------------------------------------------------------------------------------------------ */

static void take_worst(void *arg, const char *labels, double value)
{
    struct check *check = arg;
    char group[NAME_MAX_SHOWN] = "", topic[NAME_MAX_SHOWN] = "";
    (void)http_page_label(labels, "group", group, sizeof group);
    (void)http_page_label(labels, "topic", topic, sizeof topic);
    if ((check->group != NULL && strcmp(group, check->group) != 0) ||
        (check->topic != NULL && strcmp(topic, check->topic) != 0)) {
        return;
    }
    if (check->count++ == 0 || value > check->value) {
        check->value = value;
        (void)snprintf(check->name, sizeof check->name, "%s%s%s", group,
                       group[0] != '\0' && topic[0] != '\0' ? " " : "", topic);
        for (char *c = check->name; *c != '\0'; c++) {
            *c = *c == '|' || (unsigned char)*c < ' ' ? '?' : *c; /* a bar begins what monitors draw */
        }
    }
}

/* The page, or an exit code that was said. */
static int metrics_page(struct check *check, struct http_page *page)
{
    struct el_error err = {.code = 0};
    char text[1024];
    int rc = http_page_get(check->cli, check->http, "/metrics", page, &err);
    if (rc == 0 && page->status == 200) {
        return CLI_OK;
    }
    (void)snprintf(text, sizeof text, "%s: %s", check->http,
                   rc != 0               ? err.text
                   : page->status == 401 ? "a user is wanted: sasl.username and sasl.password, or by TLS a certificate"
                   : page->status == 403 ? "the user may not see metrics: it needs the right to Describe the cluster"
                                         : "no page of metrics");
    return unknown(text);
}

/* Rows have a limit, and a server that is too busy shows none: then nobody knows the worst. returns CLI_OK | said */
static int rows_known(const struct check *check, const struct check *left_out)
{
    if (check->count > 0) {
        return CLI_OK;
    }
    if (left_out->count == 0) {
        return unknown("the server shows no groups: metrics.group.rows.max is 0");
    }
    if (left_out->value > 0) {
        return unknown("the server was too busy to say");
    }
    return check->group == NULL && check->topic == NULL
               ? CLI_OK
               : unknown("there is no such group or topic in what the server shows");
}

static int check_worst(struct check *check, const char *metric, const char *unit)
{
    struct http_page page = {.status = 0};
    char text[2 * NAME_MAX_SHOWN + 300], left[64] = "";
    int rc = metrics_page(check, &page);
    if (rc != CLI_OK) {
        el_buffer_free(&page.text);
        return rc;
    }
    (void)http_page_samples(el_buffer_text(&page.text), metric, take_worst, check);
    struct check others = {.group = NULL};
    (void)http_page_samples(el_buffer_text(&page.text), "evlog_group_lag_left_out", take_worst, &others);
    el_buffer_free(&page.text);
    bool rows = strcmp(metric, "evlog_archive_lag_seconds") != 0;
    rc = rows ? rows_known(check, &others) : CLI_OK;
    if (rc != CLI_OK) {
        return rc;
    }
    if (rows && others.value > 0) {
        (void)snprintf(left, sizeof left, " (%.0f more are not shown)", others.value);
    }
    (void)snprintf(text, sizeof text, "%s: %.3g%s%s | value=%.3f%s;%.0f;%.0f;0",
                   !rows               ? "archive"
                   : check->count == 0 ? "none"
                                       : check->name,
                   check->value, unit, left, check->value, unit, check->warn < 0 ? 0.0 : (double)check->warn,
                   check->critical < 0 ? 0.0 : (double)check->critical);
    return say("", judge(check, check->value), text);
}

/* What a loss of the disk would lose: no number without an archive, and with one that takes nothing any more. */
static int check_archive(struct check *check)
{
    struct http_page page = {.status = 0};
    struct check enabled = {.group = NULL}, stopped = {.group = NULL};
    int rc = metrics_page(check, &page);
    if (rc == CLI_OK) {
        (void)http_page_samples(el_buffer_text(&page.text), "evlog_archive_enabled", take_worst, &enabled);
        (void)http_page_samples(el_buffer_text(&page.text), "evlog_archive_stopped", take_worst, &stopped);
    }
    el_buffer_free(&page.text);
    if (rc != CLI_OK) {
        return rc;
    }
    if (enabled.value <= 0) {
        return say("", STATE_CRITICAL, "the server has no archive: a loss of the disk loses everything");
    }
    if (stopped.value > 0) {
        return say("", STATE_CRITICAL, "archiving has ended for good: see evlog archive status");
    }
    return check_worst(check, "evlog_archive_lag_seconds", "s");
}

/* Percent of the file system that is free: the other way round. */
static int check_disk(struct check *check)
{
    struct http_page page = {.status = 0};
    struct check free_len = {.group = NULL}, total = {.group = NULL};
    char text[200];
    int rc = metrics_page(check, &page);
    if (rc == CLI_OK) {
        (void)http_page_samples(el_buffer_text(&page.text), "evlog_disk_free_bytes", take_worst, &free_len);
        (void)http_page_samples(el_buffer_text(&page.text), "evlog_disk_bytes", take_worst, &total);
    }
    el_buffer_free(&page.text);
    if (rc != CLI_OK) {
        return rc;
    }
    if (total.value <= 0) {
        return unknown("the server has not looked at its disk yet, or keeps nothing on one");
    }
    double percent = 100 * free_len.value / total.value;
    int64_t warn = check->warn < 0 ? 20 : check->warn, critical = check->critical < 0 ? 10 : check->critical;
    enum state state = percent <= (double)critical ? STATE_CRITICAL
                       : percent <= (double)warn   ? STATE_WARNING
                                                   : STATE_OK;
    (void)snprintf(text, sizeof text, "%.1f%% of the disk are free | free=%.1f%%;%lld:;%lld:", percent, percent,
                   (long long)warn, (long long)critical);
    return say("", state, text);
}

/* How many days the server's certificate is still good for: the other way round as well. */
static int check_certificate(struct check *check)
{
    struct http_page page = {.status = 0};
    struct check end = {.group = NULL};
    char text[200];
    int rc = metrics_page(check, &page);
    if (rc == CLI_OK) {
        (void)http_page_samples(el_buffer_text(&page.text), "evlog_tls_certificate_end_timestamp_seconds", take_worst,
                                &end);
    }
    el_buffer_free(&page.text);
    if (rc != CLI_OK) {
        return rc;
    }
    if (end.value <= 0) {
        return unknown("the server has no certificate");
    }
    double days = (end.value - (double)check->cli->now_ns / 1e9) / 86400;
    int64_t warn = check->warn < 0 ? 21 : check->warn, critical = check->critical < 0 ? 7 : check->critical;
    enum state state = days <= (double)critical ? STATE_CRITICAL
                       : days <= (double)warn   ? STATE_WARNING
                                                : STATE_OK;
    (void)snprintf(text, sizeof text, "the certificate %s %.1f days%s | days=%.1f;%lld:;%lld:",
                   days > 0 ? "ends in" : "has ended", days > 0 ? days : -days, days > 0 ? "" : " ago", days,
                   (long long)warn, (long long)critical);
    return say("", state, text);
}

/* --- the command -------------------------------------------------------------------------------------------------- */

static int run(struct check *check, const char *what)
{
    bool limits = check->warn >= 0 || check->critical >= 0;
    if (strcmp(what, "ready") == 0) {
        return check_ready(check);
    }
    if (strcmp(what, "disk") == 0) {
        return check_disk(check);
    }
    if (strcmp(what, "certificate") == 0) {
        return check_certificate(check);
    }
    if (strcmp(what, "lag") != 0 && strcmp(what, "dlq") != 0 && strcmp(what, "archive") != 0) {
        return unknown("what to check: ready, lag, dlq, archive, disk or certificate");
    }
    if (!limits) {
        return unknown("a limit is wanted: --warn N, --critical N");
    }
    if (strcmp(what, "lag") == 0) {
        return check->by_records ? check_worst(check, "evlog_group_lag_records", "")
                                 : check_worst(check, "evlog_group_lag_seconds", "s");
    }
    return strcmp(what, "dlq") == 0 ? check_worst(check, "evlog_dlq_records", "") : check_archive(check);
}

int cmd_check(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct check check = {.cli = cli, .http = HTTP_PAGE_ADDRESS, .warn = -1, .critical = -1};
    const struct cli_option options[] = {
        {"http", 0, CLI_TEXT, &check.http, "HOST:PORT", "the server's HTTP port (" HTTP_PAGE_ADDRESS ")"},
        {"group", 'g', CLI_TEXT, &check.group, "GROUP", "lag: of this group only; default: the worst of all"},
        {"topic", 't', CLI_TEXT, &check.topic, "TOPIC", "lag, dlq: of this topic only"},
        {"records", 0, CLI_FLAG, &check.by_records, NULL, "lag: limits are events, not seconds"},
        {"warn", 'w', CLI_INT, &check.warn, "N",
         "WARNING from here on; disk: percent free (20), certificate: days left (21), and below"},
        {"critical", 'c', CLI_INT, &check.critical, "N",
         "CRITICAL; disk: percent free (10), certificate: days left (7), and below"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc == CLI_OK ? CLI_OK : (int)STATE_UNKNOWN;
    }
    return run(&check, words.items[0]);
}
