/* SPDX-License-Identifier: Apache-2.0
 *
 * Failures as the library tells them: code, class, text, and a hint that says what to try.
 *
 * A caller's object may be older and so shorter than this library's: it is written through a local copy and never
 * beyond its own size. A size that is no size (an object that was not initialised) is left alone.
 */
#include "fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <wire/error_code.h>

static const char *usual_hint(int code)
{
    switch (code) {
    case EVLOG_ERR_UNREACHABLE:
        return "is the server running? 'evlog up' starts one; bootstrap.servers or -b says where it is";
    case EVLOG_ERR_UNKNOWN_TOPIC:
        return "'evlog topics ls' lists the topics, 'evlog topics create NAME' makes one";
    case EVLOG_ERR_TOPIC_EXISTS:
        return "'evlog topics describe NAME' shows it";
    case EVLOG_ERR_TOO_LARGE:
        return "raise max.message.bytes of the topic and max.request.size of the client, or publish a smaller event";
    case EVLOG_ERR_FULL:
        return "the broker or buffer.memory is full: wait, or make room";
    case EVLOG_ERR_TIMED_OUT:
        return "the broker is busy or far away: try again, or allow more time";
    case EVLOG_ERR_IN_DOUBT:
        return "look whether the event is there before publishing it again";
    case EVLOG_ERR_NO_MEMORY:
        return "free memory, or lower buffer.memory and fetch.max.bytes";
    case EVLOG_ERR_OFFSET_RANGE:
        return "the events were removed by retention, or the offset was never reached: start at 'start'";
    case EVLOG_ERR_GROUP_NOT_FOUND:
        return "'evlog groups ls' lists the groups";
    case EVLOG_ERR_GROUP_NOT_EMPTY:
        return "stop the members first; 'evlog groups describe GROUP' shows them";
    case EVLOG_ERR_GROUP_FULL:
        return "group.max.size of the broker limits how many members a group has";
    case EVLOG_ERR_STORAGE:
        return "the server's log says what its disk did; restart it once the disk is well";
    case EVLOG_ERR_AUTHENTICATION:
        return "sasl.username, sasl.password, sasl.mechanism and security.protocol say who you are and how";
    case EVLOG_ERR_TOPIC_DENIED:
    case EVLOG_ERR_GROUP_DENIED:
    case EVLOG_ERR_CLUSTER_DENIED:
        return "a super user can give the right: 'evlog acl allow'; sasl.username or a certificate says to whom";
    default:
        return "";
    }
}

static void give(struct evlog_failure *failure, struct evlog_failure *source)
{
    if (failure == NULL || failure->size < offsetof(struct evlog_failure, text)) {
        return;
    }
    source->size = failure->size;
    size_t len = EL_MIN(failure->size, sizeof *source);
    memcpy(failure, source, len);
}

static void fill(struct evlog_failure *full, int code)
{
    memset(full, 0, sizeof *full);
    full->size = sizeof *full;
    full->code = code;
    full->error_class = evlog_error_class_of(code);
    full->retriable = full->error_class == EVLOG_CLASS_RETRY;
    full->in_doubt = code == EVLOG_ERR_IN_DOUBT;
    (void)snprintf(full->hint, sizeof full->hint, "%s", usual_hint(code));
}

int el_fail(struct evlog_failure *failure, int code, const char *format, ...)
{
    if (failure == NULL) {
        return code;
    }
    struct evlog_failure full;
    fill(&full, code);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(full.text, sizeof full.text, format, args);
    va_end(args);
    give(failure, &full);
    return code;
}

static bool is_full(const struct evlog_failure *failure)
{
    return failure != NULL && failure->size >= sizeof *failure;
}

void el_fail_hint(struct evlog_failure *failure, const char *format, ...)
{
    if (!is_full(failure)) {
        return;
    }
    va_list args;
    va_start(args, format);
    (void)vsnprintf(failure->hint, sizeof failure->hint, format, args);
    va_end(args);
}

static const char *denied_kind(int code)
{
    return code == EVLOG_ERR_TOPIC_DENIED     ? "topic"
           : code == EVLOG_ERR_GROUP_DENIED   ? "group"
           : code == EVLOG_ERR_CLUSTER_DENIED ? "cluster"
                                              : NULL;
}

void el_fail_right(struct evlog_failure *failure, const char *right, const char *name)
{
    const char *kind = is_full(failure) ? denied_kind(failure->code) : NULL;
    const char *space = strrchr(right, ' ');
    if (kind == NULL || space == NULL || strcmp(space + 1, kind) != 0) {
        return;
    }
    bool cluster = failure->code == EVLOG_ERR_CLUSTER_DENIED;
    bool includes = strncmp(right, "describe ", 9) == 0 && !cluster;
    el_fail_hint(failure,
                 "'evlog acl allow PRINCIPAL %s%s%.108s' gives the right%s; sasl.username or the certificate says who "
                 "PRINCIPAL is",
                 right, cluster ? "" : " ",
                 cluster        ? ""
                 : name == NULL ? "NAME"
                                : name,
                 includes ? ", as read or write does" : "");
}

void el_fail_wrap(struct evlog_failure *failure, const char *format, ...)
{
    if (!is_full(failure)) {
        return;
    }
    char text[EVLOG_FAILURE_TEXT_MAX];
    memcpy(text, failure->text, sizeof text);
    va_list args;
    va_start(args, format);
    int len = vsnprintf(failure->text, sizeof failure->text, format, args);
    va_end(args);
    if (len >= 0 && (size_t)len < sizeof failure->text) {
        (void)snprintf(failure->text + len, sizeof failure->text - (size_t)len, ": %.400s", text);
    }
}

int el_fail_from(struct evlog_failure *failure, const struct el_error *err)
{
    return el_fail(failure, err->code, "%s", err->text);
}

int el_code_from_kafka(int kafka_code)
{
    switch (kafka_code) {
    case EL_KAFKA_NONE:
        return 0;
    case EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION:
        return EVLOG_ERR_UNKNOWN_TOPIC;
    case EL_KAFKA_INVALID_RECORD:
        return EVLOG_ERR_INVALID_RECORD;
    case EL_KAFKA_KAFKA_STORAGE_ERROR:
        return EVLOG_ERR_STORAGE;
    case EL_KAFKA_INVALID_REQUEST:
        return EVLOG_ERR_INVALID_REQUEST;
    case EL_KAFKA_REQUEST_TIMED_OUT:
        return EVLOG_ERR_TIMED_OUT;
    default:
        break;
    }
    static const struct {
        int kafka_code;
        int code;
    } table[] = {
#define EVLOG_ERROR(name, number, class_, kafka_code, text) {kafka_code, number},
#include <evlog/error.def>
#undef EVLOG_ERROR
    };
    for (size_t i = 0; kafka_code != -1 && i < sizeof table / sizeof table[0]; i++) {
        if (table[i].kafka_code == kafka_code) {
            return table[i].code;
        }
    }
    return EVLOG_ERR_KAFKA;
}

int el_fail_kafka(struct evlog_failure *failure, int kafka_code, struct el_slice message, const char *what)
{
    int code = el_code_from_kafka(kafka_code);
    if (failure == NULL) {
        return code;
    }
    struct evlog_failure full;
    fill(&full, code);
    full.kafka_code = kafka_code;
    full.retriable = el_kafka_error_retriable(kafka_code);
    bool own_words = message.data != NULL && message.len > 0;
    const char *plain = code == EVLOG_ERR_KAFKA ? "the broker refused" : evlog_error_text(code);
    (void)snprintf(full.text, sizeof full.text, "%s: %.*s (%s)", what,
                   own_words ? (int)EL_MIN(message.len, 300) : (int)strlen(plain),
                   own_words ? (const char *)message.data : plain, el_kafka_error_name(kafka_code));
    give(failure, &full);
    return code;
}

void el_fail_doubt(struct evlog_failure *failure)
{
    if (failure != NULL && failure->size >= offsetof(struct evlog_failure, text)) {
        failure->in_doubt = true;
    }
}

int el_fail_copy(struct evlog_failure *failure, const struct evlog_failure *source)
{
    struct evlog_failure full = *source;
    give(failure, &full);
    return full.code;
}
