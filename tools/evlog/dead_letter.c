/* SPDX-License-Identifier: Apache-2.0 */
#include "dead_letter.h"

#include <core/cbor.h>
#include <core/timefmt.h>
#include <evlog/groups.h>
#include <string.h>

#define ATTEMPT_ITEMS 5 /* time, worker, outcome, reason, error; others may follow */
#define NS_PER_MS 1000000

static struct evlog_bytes text_of(const struct evlog_event *event, const char *name)
{
    struct evlog_bytes value = {NULL, 0};
    (void)evlog_event_header(event, name, &value);
    return value;
}

/* A decimal number, -1 when it is none. */
static int64_t number_of(struct evlog_bytes text)
{
    const char *p = text.data;
    int64_t value = 0;
    if (p == NULL || text.len == 0 || text.len > 18) {
        return -1;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return -1;
        }
        value = value * 10 + (p[i] - '0');
    }
    return value;
}

/* Milliseconds, or a time as people write it. */
static int64_t time_of(struct evlog_bytes text)
{
    char copy[48];
    int64_t ns, ms = number_of(text);
    struct el_error err = {0};
    if (ms >= 0 || text.data == NULL || text.len >= sizeof copy) {
        return ms;
    }
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    return el_time_parse(copy, 0, &ns, &err) == 0 ? ns / NS_PER_MS : -1;
}

/* Text, bytes or null. returns false: none of them */
static bool read_text(struct el_reader *r, struct evlog_bytes *text)
{
    struct el_cbor_item item;
    if (el_cbor_read(r, &item) != 0) {
        return false;
    }
    bool known = item.type == EL_CBOR_TEXT || item.type == EL_CBOR_BYTES;
    *text = known ? (struct evlog_bytes){item.data.data, item.data.len} : (struct evlog_bytes){NULL, 0};
    return known || item.type == EL_CBOR_NULL;
}

static bool read_attempt(struct el_reader *r, struct dead_letter_attempt *attempt)
{
    uint32_t count = el_cbor_read_array(r);
    if (count < ATTEMPT_ITEMS) {
        return false;
    }
    attempt->time_ms = el_cbor_read_int(r);
    bool good = read_text(r, &attempt->worker) && read_text(r, &attempt->outcome) && read_text(r, &attempt->reason) &&
                read_text(r, &attempt->error);
    for (uint32_t i = ATTEMPT_ITEMS; good && i < count; i++) {
        good = el_cbor_skip(r, EL_CBOR_DEPTH_MAX) == 0;
    }
    return good;
}

static void read_history(struct evlog_bytes source, struct dead_letter *letter)
{
    struct el_reader r;
    if (source.data == NULL) {
        return;
    }
    el_reader_init(&r, source.data, source.len);
    uint32_t count = el_cbor_read_array(&r);
    letter->history_broken = r.err != 0;
    while (!letter->history_broken && letter->history_count < count &&
           letter->history_count < DEAD_LETTER_HISTORY_MAX) {
        letter->history_broken = !read_attempt(&r, &letter->history[letter->history_count]) || r.err != 0;
        letter->history_count += !letter->history_broken;
    }
}

bool dead_letter_read(const struct evlog_event *event, struct dead_letter *letter)
{
    memset(letter, 0, sizeof *letter);
    letter->topic = text_of(event, "evlog-dlq-topic");
    letter->group = text_of(event, "evlog-dlq-group");
    letter->reason = text_of(event, "evlog-dlq-reason");
    letter->error = text_of(event, "evlog-dlq-error");
    letter->partition = number_of(text_of(event, "evlog-dlq-partition"));
    letter->offset = number_of(text_of(event, "evlog-dlq-offset"));
    letter->attempts = number_of(text_of(event, "evlog-dlq-attempts"));
    letter->timestamp_ms = time_of(text_of(event, "evlog-dlq-timestamp"));
    read_history(text_of(event, "evlog-dlq-history"), letter);
    return letter->topic.data != NULL && letter->offset >= 0;
}

bool group_works(const struct evlog_group_name *group)
{
    return strcmp(group->protocol_type, "share") == 0 || strcmp(group->type, "share") == 0;
}

bool dead_letter_names(const char *topic, const struct evlog_group_name *group)
{
    size_t len = strlen(topic), group_len = strlen(group->name), suffix = strlen(DEAD_LETTER_SUFFIX);
    if (len <= suffix + group_len + 1 || strcmp(topic + len - suffix, DEAD_LETTER_SUFFIX) != 0) {
        return false;
    }
    const char *at = topic + len - suffix - group_len;
    return group_works(group) && at[-1] == '.' && memcmp(at, group->name, group_len) == 0;
}
