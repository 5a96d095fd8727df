/* SPDX-License-Identifier: Apache-2.0
 *
 * Conflicts of appends: what a stream is at, against what was expected, in fields and in words. Pure functions.
 */
#include "stream_conflict.h"
#include "fail.h"
#include "stream_ask.h"

#include <core/timefmt.h>
#include <core/utf8.h>
#include <stdio.h>

#define STATE_LEN 300

bool el_is_conflict(int code)
{
    return code == EVLOG_ERR_WRONG_VERSION || code == EVLOG_ERR_ID_CONFLICT || code == EVLOG_ERR_STREAM_ENDED;
}

void el_conflict_take(const struct el_msg_ext_stream_append_conflict *conflict, struct evlog_bytes key,
                      struct evlog_conflict *out)
{
    struct el_slice type = conflict->current_type;
    size_t len = EL_MIN(type.len, sizeof out->current_type - 1);
    while (len > 0 && len < type.len && (type.data[len] & 0xc0) == 0x80) {
        len--; /* not within a character */
    }
    memset(out, 0, sizeof *out);
    out->key = key;
    out->expected = conflict->expected;
    out->current_version = conflict->current_version;
    out->current_time_ms = conflict->current_time_ms;
    out->deleted = conflict->deleted || el_slice_eq(conflict->reason, el_slice_str("ended"));
    if (type.data != NULL && el_utf8_valid(type.data, len)) {
        memcpy(out->current_type, type.data, len);
    }
}

/* "at version 5 (OrderPaid, 2026-03-01T12:00:00.000Z)" */
static const char *state_of(const struct evlog_conflict *conflict, char *text)
{
    char time[40] = "";
    if (conflict->current_version < 0) {
        (void)snprintf(text, STATE_LEN, "not there");
        return text;
    }
    if (conflict->current_time_ms >= 0 && conflict->current_time_ms <= INT64_MAX / EL_NS_PER_MS) {
        el_time_format(time, conflict->current_time_ms * EL_NS_PER_MS, 3);
    }
    const char *comma = conflict->current_type[0] != '\0' && time[0] != '\0' ? ", " : "";
    bool known = conflict->current_type[0] != '\0' || time[0] != '\0';
    (void)snprintf(text, STATE_LEN, "%sat version %lld%s%s%s%s%s", conflict->deleted ? "deleted, " : "",
                   (long long)conflict->current_version, known ? " (" : "", conflict->current_type, comma, time,
                   known ? ")" : "");
    return text;
}

static void wanted_of(int64_t expected, char *text, size_t room)
{
    if (expected == EVLOG_EXPECT_NONE) {
        (void)snprintf(text, room, "and was to have no events");
    } else if (expected == EVLOG_EXPECT_EXISTS) {
        (void)snprintf(text, room, "and was to have events");
    } else {
        (void)snprintf(text, room, "and not at version %lld", (long long)expected);
    }
}

int el_conflict_fail(struct evlog_failure *failure, const char *topic, struct evlog_bytes key,
                     const struct el_msg_ext_stream_append_conflict *conflicts, uint32_t count, struct el_slice message)
{
    struct evlog_conflict first;
    char what[EL_STREAM_WHAT_LEN], state[STATE_LEN], wanted[60], more[60] = "";
    el_conflict_take(&conflicts[0], key, &first);
    (void)el_stream_what(what, topic, key);
    if (count > 1) {
        (void)snprintf(more, sizeof more, "; %u more of the append are not as expected", count - 1);
    }
    if (el_slice_eq(conflicts[0].reason, el_slice_str("ended"))) {
        (void)el_fail(failure, EVLOG_ERR_STREAM_ENDED, "%s was deleted for good%s", what, more);
        el_fail_hint(failure, "a stream that was deleted for good takes no events: use another key");
        return EVLOG_ERR_STREAM_ENDED;
    }
    if (el_slice_eq(conflicts[0].reason, el_slice_str("version"))) {
        wanted_of(first.expected, wanted, sizeof wanted);
        (void)el_fail(failure, EVLOG_ERR_WRONG_VERSION, "%s is %s, %s%s", what, state_of(&first, state), wanted, more);
        el_fail_hint(failure, "read the stream, decide anew, and append with the version that it has now");
        return EVLOG_ERR_WRONG_VERSION;
    }
    const char *usual = "some of the events are there already, by their ids, and some are not; nothing was appended";
    (void)el_fail(failure, EVLOG_ERR_ID_CONFLICT, "%s: %.*s%s", what,
                  message.data == NULL ? (int)strlen(usual) : (int)EL_MIN(message.len, 300),
                  message.data == NULL ? usual : (const char *)message.data, more);
    el_fail_hint(failure, "repeat an append with exactly the events it had, or give new events new ids");
    return EVLOG_ERR_ID_CONFLICT;
}

void el_appended_give(struct evlog_appended *appended, const struct evlog_appended *full)
{
    if (appended != NULL && appended->size > sizeof appended->size) {
        size_t len = EL_MIN(appended->size, sizeof *full);
        memcpy((uint8_t *)appended + sizeof appended->size, (const uint8_t *)full + sizeof full->size,
               len - sizeof full->size);
    }
}
