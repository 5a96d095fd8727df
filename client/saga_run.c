/* SPDX-License-Identifier: Apache-2.0
 *
 * Running sagas: one work group over the topics of events, the topic of the sagas' streams, and that of their timers.
 *
 * 1. An event of a topic, or a timer that is due: its saga is read, its handler run, and what that says is appended as
 *    one record, under an id made of the event, if the saga's stream is still what it was. Then it is acknowledged.
 * 2. A record of a saga: what it says to publish is emitted with the acknowledgement, which evlog does exactly once.
 * 3. A record that leaves the saga to be undone: the next part of its undo is appended, and comes back as 2.
 * 4. A wish to go on: what waits is handled as in 1.
 *
 * A crash anywhere leaves an event or a record without an acknowledgement, so it comes again. Then 1 finds its id in
 * the stream, 2 has published nothing, 3 and 4 find the saga as it is and do what is left. Two runners that work on one
 * saga: one append wins, the other reads anew. docs/decisions/0015 has the whole argument.
 *
 * A broker that cannot be reached is nobody's fault and never makes a saga stuck; the group tries without end.
 */
#include "client_core.h"
#include "fail.h"
#include "saga_state.h"
#include "stream_ask.h"

#include <core/alloc.h>
#include <core/crypto.h>
#include <evlog/admin.h>
#include <stdio.h>

#define RACES_MAX 100   /* appends of one event while others append to its saga */
#define CRASHES_MAX 100 /* deliveries of an event after which its handler is not called any more */
#define TRIES_MAX 1000
#define HEADER_COUNT_MAX 9
#define SETTING_COUNT_MAX 64
#define OWN_SETTINGS 4
#define ID_ROOM (EL_SAGA_HASH_ROOM + 32)

struct runner {
    struct evlog_client *client;
    struct evlog_group *group;
    struct evlog_sagas_options options;
    char topic[EL_SAGA_TOPIC_ROOM]; /* of the streams */
    char timers[EL_SAGA_TOPIC_ROOM];
    char source[EL_SAGA_TOPIC_ROOM + 16]; /* ce_source of commands */
};

/* One event or record in work. */
struct work {
    struct runner *runner;
    const struct evlog_lease *lease;
    struct evlog_result *result;
    struct evlog_bytes id;          /* of the saga */
    struct el_saga_note note;       /* what is to be handled */
    struct evlog_bytes correlation; /* of the lease's event */
};

enum verdict {
    DONE,
    AGAIN, /* another has appended to the saga meanwhile */
    FAILED,
};

static void at_point(const struct runner *runner, const char *point)
{
    if (runner->options.on_point != NULL) {
        runner->options.on_point(runner->options.arg, point);
    }
}

/* --- outcomes ----------------------------------------------------------------------------------------------------- */

/* Not now: to be delivered again. */
static enum verdict later(struct work *work, const char *reason, const struct evlog_failure *failure)
{
    work->result->outcome = EVLOG_NACK;
    (void)snprintf(work->result->reason, sizeof work->result->reason, "%s", reason);
    (void)snprintf(work->result->error, sizeof work->result->error, "%.*s", (int)sizeof work->result->error - 1,
                   failure->text);
    return FAILED;
}

static enum verdict never(struct work *work, const char *reason, const char *error)
{
    work->result->outcome = EVLOG_DEAD;
    (void)snprintf(work->result->reason, sizeof work->result->reason, "%s", reason);
    (void)snprintf(work->result->error, sizeof work->result->error, "%.*s", (int)sizeof work->result->error - 1, error);
    return FAILED;
}

/* --- appending ---------------------------------------------------------------------------------------------------- */

/* Append a record behind the version that was read.
 *
 * returns  0, also when it is there already | EVLOG_ERR_WRONG_VERSION read again | as evlog_append()
 */
static int store(struct work *work, const struct evlog_saga *saga, const char *type, const char *id,
                 const struct el_saga_record *record, struct evlog_failure *failure)
{
    struct evlog_append append = EVLOG_APPEND_INIT;
    struct el_buffer text = {0};
    int rc = el_saga_record_write(&text, record);
    if (rc != 0) {
        el_buffer_free(&text);
        return el_fail(failure, rc, "a step of a saga cannot be written: a text in it is not UTF-8");
    }
    struct evlog_new_event event = {
        .id = id,
        .type = type,
        .source = work->runner->source,
        .content_type = "application/json",
        .data = {text.data, text.len},
    };
    append.topic = work->runner->topic;
    append.key = saga->id;
    append.expected = saga->version < 0 ? EVLOG_EXPECT_NONE : saga->version;
    append.events = &event;
    append.event_count = 1;
    rc = evlog_append(work->runner->client, &append, NULL, failure);
    el_buffer_free(&text);
    if (rc == 0) {
        at_point(work->runner, "stored");
    }
    return rc;
}

/* What a failure to append means: one that time mends is waited for. */
static bool is_passing(const struct evlog_failure *failure)
{
    return failure->retriable || failure->in_doubt || failure->error_class == EVLOG_CLASS_RETRY;
}

/* The event waits in the saga's stream until somebody lets it go on. */
static enum verdict put_waiting(struct work *work, const struct evlog_saga *saga, const char *type, const char *reason)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct el_saga_record record = {.note = work->note, .status = EVLOG_SAGA_RUNNING, .reason = reason};
    char id[ID_ROOM];
    record.correlation = work->correlation;
    if (saga->seen) {
        (void)snprintf(id, sizeof id, "w-%s-%lld", work->note.hash, (long long)saga->version);
    } else {
        (void)snprintf(id, sizeof id, "w-%s", work->note.hash);
    }
    int rc = store(work, saga, type, id, &record, &failure);
    if (rc == EVLOG_ERR_WRONG_VERSION) {
        return AGAIN;
    }
    if (rc == EVLOG_ERR_TOO_LARGE) {
        return never(work, "too-large", "the saga is stuck, and the event is too large to wait in its stream");
    }
    return rc == 0 ? DONE : later(work, "append", &failure);
}

/* --- handling an event -------------------------------------------------------------------------------------------- */

/* The handler, or what it has said, is at fault. */
static enum verdict fault(struct work *work, const struct evlog_saga *saga, const struct evlog_failure *failure)
{
    char reason[EL_SAGA_REASON_MAX + 1];
    const struct evlog_lease *lease = work->lease;
    if (lease->attempt < work->runner->options.tries_max) {
        return later(work, "saga", failure);
    }
    (void)snprintf(reason, sizeof reason, "%.*s", EL_SAGA_REASON_MAX, failure->text);
    size_t len = strlen(reason);
    for (size_t i = 0; i < len; i++) {
        reason[i] = (unsigned char)reason[i] < 0x20 || (unsigned char)reason[i] > 0x7e ? '?' : reason[i];
    }
    return put_waiting(work, saga, EL_SAGA_STUCK, reason);
}

/* Every topic that a step publishes to is there: else the step is refused while its handler can still be mended. */
static int check_topics(struct work *work, const struct evlog_saga_step *step, struct evlog_failure *failure)
{
    const struct el_saga_commands *lists[] = {&step->record.commands, &step->record.undo};
    int rc = 0;
    for (size_t l = 0; l < sizeof lists / sizeof lists[0]; l++) {
        for (size_t i = 0; rc == 0 && i < lists[l]->count; i++) {
            int32_t count;
            const char *topic = lists[l]->items[i].topic;
            bool known = i > 0 && strcmp(topic, lists[l]->items[i - 1].topic) == 0;
            rc = known ? 0 : evlog_topic_partition_count(work->runner->client, topic, &count, failure);
        }
    }
    return rc;
}

static int run_handler(struct work *work, const struct evlog_saga *saga, struct evlog_saga_step *step,
                       struct evlog_failure *failure)
{
    const struct evlog_sagas_options *options = &work->runner->options;
    if (work->lease->attempt > CRASHES_MAX) {
        return el_fail(failure, EVLOG_ERR_FAILED, "%d runs of the handler have ended without a result: does it crash?",
                       work->lease->attempt - 1);
    }
    int rc = options->on_event(options->arg, saga, &work->note.event, step, failure);
    at_point(work->runner, "handled");
    if (rc != 0) {
        if (failure->text[0] == '\0') {
            (void)el_fail(failure, rc < 0 ? rc : EVLOG_ERR_FAILED, "the handler has failed: code %d", rc);
        }
        return rc;
    }
    if (step->err != 0) {
        return el_fail(failure, step->err, "a step was not understood: %s",
                       step->err == EVLOG_ERR_LIMIT ? "it holds more than one may" : evlog_error_text(step->err));
    }
    return 0;
}

/* Append the step of work->note, with the id of its event. */
static enum verdict put_step(struct work *work, const struct evlog_saga *saga, struct evlog_saga_step *step)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    char id[ID_ROOM];
    step->record.note = work->note;
    step->record.note.event.data = (struct evlog_bytes){NULL, 0}; /* it is in its own topic */
    step->record.correlation = work->correlation;
    (void)snprintf(id, sizeof id, "s-%s", work->note.hash);
    int rc = store(work, saga, EL_SAGA_STEP, id, &step->record, &failure);
    if (rc == EVLOG_ERR_WRONG_VERSION) {
        return AGAIN;
    }
    if (rc != 0) {
        return is_passing(&failure) ? later(work, "append", &failure) : fault(work, saga, &failure);
    }
    return DONE;
}

static enum verdict handle(struct work *work, const struct evlog_saga *saga)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_saga_step step;
    enum verdict verdict;
    el_saga_step_init(&step, el_unix_ms());
    if (saga->status == EVLOG_SAGA_COMPENSATING) {
        step.record.status = EVLOG_SAGA_COMPENSATING; /* what was waited for: the next part follows this record */
        verdict = put_step(work, saga, &step);
    } else {
        int rc = run_handler(work, saga, &step, &failure);
        bool away = rc == EVLOG_ERR_UNREACHABLE || rc == EVLOG_ERR_TIMED_OUT;
        if (rc == 0) {
            rc = check_topics(work, &step, &failure);
            away = rc != 0 && rc != EVLOG_ERR_UNKNOWN_TOPIC && is_passing(&failure);
        }
        if (rc == 0 && (step.touched || saga->version >= 0)) {
            verdict = put_step(work, saga, &step);
        } else if (rc == 0) {
            verdict = DONE; /* it begins no saga */
        } else {
            verdict = away ? later(work, "unreachable", &failure) : fault(work, saga, &failure);
        }
    }
    el_saga_step_free(&step);
    return verdict;
}

/* One look at the saga, and what follows for an event that has just come. */
static enum verdict take_once(struct work *work)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_saga *saga;
    enum verdict verdict = DONE;
    if (el_saga_read(work->runner->client, work->runner->topic, work->id, work->note.hash, &saga, &failure) != 0) {
        return later(work, "read", &failure);
    }
    bool waited_for = saga->until != NULL && el_saga_bytes_are(work->note.event.type, saga->until);
    bool new_or_running = saga->status == EVLOG_SAGA_NEW || saga->status == EVLOG_SAGA_RUNNING;
    bool passed = saga->status == EVLOG_SAGA_COMPENSATING ? !waited_for : !new_or_running;
    if (saga->seen || passed || (work->note.event.timer != NULL && saga->version < 0)) {
        verdict = DONE;
    } else if (saga->wait_count > 0) {
        verdict = put_waiting(work, saga, EL_SAGA_HELD, NULL);
    } else {
        verdict = handle(work, saga);
    }
    evlog_saga_close(saga);
    return verdict;
}

/* One look at a saga that was told to go on. *left: something waits still */
static enum verdict go_on_once(struct work *work, bool *left)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_saga *saga;
    enum verdict verdict = DONE;
    if (el_saga_read(work->runner->client, work->runner->topic, work->id, NULL, &saga, &failure) != 0) {
        return later(work, "read", &failure);
    }
    *left = saga->status == EVLOG_SAGA_RUNNING && !saga->stuck && saga->wait_count > 0;
    if (*left) {
        work->note = saga->waiting[0];
        saga->seen = true;
        verdict = handle(work, saga);
    }
    evlog_saga_close(saga);
    memset(&work->note, 0, sizeof work->note);
    return verdict;
}

/* The next part of the undo of a saga that is being undone. */
static enum verdict undo_once(struct work *work)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_saga_step step;
    struct evlog_saga *saga;
    char id[ID_ROOM];
    if (el_saga_read(work->runner->client, work->runner->topic, work->id, NULL, &saga, &failure) != 0) {
        return later(work, "read", &failure);
    }
    int rc = 0;
    if (saga->status == EVLOG_SAGA_COMPENSATING && saga->until == NULL) {
        el_saga_step_init(&step, el_unix_ms());
        (void)snprintf(id, sizeof id, "u-%lld", (long long)saga->version);
        step.record.correlation = saga->correlation;
        rc = el_saga_unwind(saga, &step);
        rc = rc == 0 ? store(work, saga, EL_SAGA_STEP, id, &step.record, &failure) : rc;
        el_saga_step_free(&step);
    }
    evlog_saga_close(saga);
    return rc == 0 ? DONE : rc == EVLOG_ERR_WRONG_VERSION ? AGAIN : later(work, "append", &failure);
}

static void lost_races(struct work *work)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    (void)el_fail(&failure, EVLOG_ERR_WRONG_VERSION, "others append to the saga again and again");
    (void)later(work, "races", &failure);
}

static void take(struct work *work)
{
    enum verdict verdict = AGAIN;
    for (int i = 0; verdict == AGAIN && i < RACES_MAX; i++) {
        verdict = take_once(work);
    }
    if (verdict == AGAIN) {
        lost_races(work);
    }
}

static void go_on(struct work *work)
{
    int races = 0;
    bool left = true;
    while (left && races < RACES_MAX) {
        enum verdict verdict = go_on_once(work, &left);
        if (verdict == FAILED) {
            return;
        }
        races = verdict == AGAIN ? races + 1 : 0;
    }
    if (left) {
        lost_races(work);
    }
}

static void undo(struct work *work)
{
    enum verdict verdict = AGAIN;
    for (int i = 0; verdict == AGAIN && i < RACES_MAX; i++) {
        verdict = undo_once(work);
    }
    if (verdict == AGAIN) {
        lost_races(work);
    }
}

/* --- publishing what a record says -------------------------------------------------------------------------------- */

struct envelope {
    struct evlog_header headers[HEADER_COUNT_MAX];
    size_t count;
};

static struct evlog_bytes bytes_of(const char *text)
{
    return (struct evlog_bytes){text, text == NULL ? 0 : strlen(text)};
}

static void put_header(struct envelope *envelope, const char *name, struct evlog_bytes value)
{
    if (value.data != NULL) {
        EL_ASSERT(envelope->count < HEADER_COUNT_MAX);
        envelope->headers[envelope->count++] = (struct evlog_header){bytes_of(name), value};
    }
}

/* Headers that all events of a record have in common; place[place_room] holds the cause where its event has no id. */
static void begin_envelope(const struct work *work, const struct el_saga_record *record, struct envelope *envelope,
                           char *place, size_t place_room)
{
    const struct evlog_saga_event *cause = &record->note.event;
    struct evlog_bytes cause_id = cause->id;
    put_header(envelope, "ce_specversion", bytes_of("1.0"));
    put_header(envelope, "ce_source", bytes_of(work->runner->source));
    put_header(envelope, EVLOG_SAGA_ID_HEADER, work->id);
    if (record->note.hash[0] != '\0' && cause_id.data == NULL) {
        (void)snprintf(place, place_room, "%s/%d/%lld", cause->topic, cause->partition, (long long)cause->offset);
        cause_id = bytes_of(place);
    }
    put_header(envelope, EVLOG_CAUSATION_ID, cause_id);
    put_header(envelope, EVLOG_CORRELATION_ID, record->correlation);
}

static int publish_command(struct work *work, struct envelope envelope, const struct evlog_saga_command *command,
                           struct evlog_failure *failure)
{
    struct evlog_message message = EVLOG_MESSAGE_INIT;
    put_header(&envelope, "ce_type", bytes_of(command->type));
    put_header(&envelope, "content-type", bytes_of(command->content_type));
    message.topic = command->topic;
    message.key = command->key.data == NULL ? work->id : command->key;
    message.value = command->data.data == NULL ? bytes_of("") : command->data;
    message.headers = envelope.headers;
    message.header_count = envelope.count;
    return evlog_emit(work->runner->group, work->lease, &message, failure);
}

/* A timer is an event of the topic of timers that the work group holds back. It has no key, so that it holds up no
 * other one. */
static int publish_timer(struct work *work, struct envelope envelope, const struct el_saga_timer *timer,
                         struct evlog_failure *failure)
{
    struct evlog_message message = EVLOG_MESSAGE_INIT;
    char due[24];
    (void)snprintf(due, sizeof due, "%lld", (long long)timer->due_ms);
    put_header(&envelope, "ce_type", bytes_of(timer->name));
    put_header(&envelope, "evlog-not-before", bytes_of(due));
    message.topic = work->runner->timers;
    message.value = bytes_of("");
    message.headers = envelope.headers;
    message.header_count = envelope.count;
    return evlog_emit(work->runner->group, work->lease, &message, failure);
}

static void publish(struct work *work, const struct el_saga_record *record)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct envelope envelope = {.count = 0};
    char place[EL_SAGA_TOPIC_ROOM + 48];
    int rc = 0;
    begin_envelope(work, record, &envelope, place, sizeof place);
    for (size_t i = 0; rc == 0 && i < record->commands.count; i++) {
        rc = publish_command(work, envelope, &record->commands.items[i], &failure);
    }
    for (size_t i = 0; rc == 0 && i < record->timer_count; i++) {
        rc = publish_timer(work, envelope, &record->timers[i], &failure);
    }
    if (rc != 0) {
        (void)later(work, "publish", &failure);
        return;
    }
    at_point(work->runner, "published");
}

/* --- what comes --------------------------------------------------------------------------------------------------- */

/* A record of a saga's own stream. */
static void take_record(struct work *work, const struct evlog_event_view *view)
{
    struct el_saga_record record;
    struct el_arena arena;
    work->id = work->lease->event->key;
    if (work->lease->event->value.data == NULL) {
        return; /* its stream was deleted */
    }
    el_arena_init(&arena, NULL, 0);
    int rc = el_saga_record_read(&arena, view->data, &record);
    bool step = el_saga_bytes_are(view->type, EL_SAGA_STEP), wish = el_saga_bytes_are(view->type, EL_SAGA_RETRY);
    bool cancel = el_saga_bytes_are(view->type, EL_SAGA_CANCEL);
    bool waits = el_saga_bytes_are(view->type, EL_SAGA_STUCK) || el_saga_bytes_are(view->type, EL_SAGA_HELD);
    if (rc == EVLOG_ERR_NO_MEMORY) {
        struct evlog_failure failure = EVLOG_FAILURE_INIT;
        (void)el_fail(&failure, rc, "no memory for a step of a saga");
        (void)later(work, "memory", &failure);
    } else if (rc != 0 || work->id.data == NULL || !(step || wish || cancel || waits)) {
        (void)never(work, "record", "this is no record of a saga");
    } else {
        work->correlation = record.correlation;
        if (wish) {
            go_on(work);
        }
        if (cancel || (step && record.status == EVLOG_SAGA_COMPENSATING && record.until == NULL)) {
            undo(work);
        }
        if (step && work->result->outcome == EVLOG_ACK) {
            publish(work, &record);
        }
    }
    el_arena_reset(&arena);
}

static void hash_number(struct el_sha256 *sha, uint64_t number)
{
    uint8_t bytes[8];
    el_put_le64(bytes, number);
    el_sha256_add(sha, bytes, sizeof bytes);
}

static void hash_part(struct el_sha256 *sha, struct evlog_bytes part)
{
    hash_number(sha, part.data == NULL ? UINT64_MAX : part.len);
    if (part.data != NULL) {
        el_sha256_add(sha, part.data, part.len);
    }
}

/* What tells the event from others: topic, key, source and id, so that one that was published twice is one; without an
 * id its place. */
static void note_event(struct work *work, const struct evlog_event_view *view)
{
    const struct evlog_event *event = work->lease->event;
    struct evlog_bytes source = {NULL, 0};
    struct el_sha256 sha;
    uint8_t digest[32];
    work->note.event = (struct evlog_saga_event){
        .topic = event->topic,
        .partition = event->partition,
        .offset = event->offset,
        .timestamp_ms = event->timestamp_ms,
        .key = event->key,
        .type = view->type,
        .id = view->id,
        .data = view->data,
    };
    (void)evlog_event_header(event, "ce_source", &source);
    el_sha256_begin(&sha);
    hash_part(&sha, bytes_of(event->topic));
    hash_part(&sha, event->key);
    hash_part(&sha, source);
    hash_part(&sha, view->id);
    if (view->id.data == NULL) {
        hash_number(&sha, (uint64_t)event->partition);
        hash_number(&sha, (uint64_t)event->offset);
    }
    el_sha256_end(&sha, digest);
    for (size_t i = 0; i < (EL_SAGA_HASH_ROOM - 1) / 2; i++) {
        (void)snprintf(work->note.hash + 2 * i, 3, "%02x", digest[i]);
    }
}

static void take_timer(struct work *work, const struct evlog_event_view *view)
{
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    const char *name = view->type.data == NULL ? NULL : el_arena_strndup(&arena, view->type.data, view->type.len);
    if (!evlog_event_header(work->lease->event, EVLOG_SAGA_ID_HEADER, &work->id) || work->id.data == NULL ||
        name == NULL) {
        (void)never(work, "timer", "this is no timer of a saga");
    } else {
        note_event(work, view);
        work->note.event.timer = name;
        take(work);
    }
    el_arena_reset(&arena);
}

static void take_event(struct work *work, const struct evlog_event_view *view)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const struct evlog_sagas_options *options = &work->runner->options;
    int rc = 1;
    work->id = work->lease->event->key;
    if (options->on_correlate != NULL) {
        rc = options->on_correlate(options->arg, work->lease->event, &work->id);
    }
    if (rc == 0 || (rc == 1 && work->id.data == NULL)) {
        return; /* it belongs to none */
    }
    if (rc == 1) {
        rc = el_stream_check_name(work->runner->topic, work->id, &failure) == 0 ? 1 : -1;
    } else {
        (void)el_fail(&failure, EVLOG_ERR_FAILED, "the saga of the event could not be told: code %d", rc);
    }
    if (rc != 1) {
        (void)(work->lease->attempt < options->tries_max ? later(work, "correlate", &failure)
                                                         : never(work, "correlate", failure.text));
        return;
    }
    note_event(work, view);
    take(work);
}

static void on_lease(void *arg, const struct evlog_lease *lease, struct evlog_result *result)
{
    struct runner *runner = arg;
    struct work work = {.runner = runner, .lease = lease, .result = result};
    struct evlog_event_view view = {.size = sizeof view};
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    at_point(runner, "taken");
    if (evlog_event_view(lease->event, &view) != 0) {
        (void)el_fail(&failure, EVLOG_ERR_NO_MEMORY, "no memory for an event");
        (void)later(&work, "memory", &failure);
        return;
    }
    if (!evlog_event_header(lease->event, EVLOG_CORRELATION_ID, &work.correlation) || work.correlation.data == NULL) {
        work.correlation = view.id;
    }
    if (strcmp(lease->event->topic, runner->topic) == 0) {
        take_record(&work, &view);
    } else if (strcmp(lease->event->topic, runner->timers) == 0) {
        take_timer(&work, &view);
    } else {
        take_event(&work, &view);
    }
    evlog_event_view_free(&view);
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

static int make_topic(struct runner *runner, const char *name, bool streams, struct evlog_failure *failure)
{
    static const struct evlog_setting setting = {"evlog.streams", "true"};
    struct evlog_topic_create_options options = EVLOG_TOPIC_CREATE_OPTIONS_INIT;
    int rc = evlog_topic_partition_count(runner->client, runner->options.topics[0], &options.partition_count, failure);
    if (rc != 0) {
        return rc;
    }
    options.name = name;
    options.settings = streams ? &setting : NULL;
    options.setting_count = streams ? 1 : 0;
    rc = evlog_topic_create(runner->client, &options, failure);
    return rc == EVLOG_ERR_TOPIC_EXISTS ? 0 : rc;
}

/* The topics are there, and that of the sagas has streams. */
static int make_topics(struct runner *runner, struct evlog_failure *failure)
{
    struct evlog_saga *saga;
    int rc = make_topic(runner, runner->topic, true, failure);
    rc = rc == 0 ? make_topic(runner, runner->timers, false, failure) : rc;
    rc = rc == 0 ? el_saga_read(runner->client, runner->topic, bytes_of("?"), NULL, &saga, failure) : rc;
    if (rc == EVLOG_ERR_MALFORMED) {
        rc = 0; /* the topic has streams, and somebody has made one of that name */
    } else if (rc == 0) {
        evlog_saga_close(saga);
    }
    return rc;
}

static int open_group(struct runner *runner, struct evlog_failure *failure)
{
    const struct evlog_sagas_options *given = &runner->options;
    struct evlog_group_options options = EVLOG_GROUP_OPTIONS_INIT;
    /* A runner that has died has its partitions until its session ends: that is shortened. */
    struct evlog_setting settings[SETTING_COUNT_MAX + OWN_SETTINGS] = {
        {"start", "earliest"},
        {"retry.max.attempts", "-1"},
        {"share.heartbeat.interval.ms", "1000"},
        {"share.session.timeout.ms", "6000"},
    };
    const char **topics = el_calloc(given->topic_count + 2, sizeof *topics);
    if (topics == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a work group");
    }
    for (size_t i = 0; i < given->topic_count; i++) {
        topics[i] = given->topics[i];
    }
    topics[given->topic_count] = runner->topic;
    topics[given->topic_count + 1] = runner->timers;
    options.group = given->name;
    options.topics = topics;
    options.topic_count = given->topic_count + 2;
    options.settings = settings;
    options.setting_count = OWN_SETTINGS;
    for (size_t i = 0; i < given->setting_count; i++) {
        size_t place = options.setting_count;
        for (size_t known = 0; known < OWN_SETTINGS; known++) {
            place = strcmp(settings[known].key, given->settings[i].key) == 0 ? known : place;
        }
        options.setting_count += place == options.setting_count;
        settings[place] = given->settings[i];
    }
    int rc = evlog_group_open(runner->client, &options, &runner->group, failure);
    el_free(topics);
    return rc;
}

static int check(struct runner *runner, const struct evlog_sagas_options *given, struct evlog_failure *failure)
{
    struct evlog_sagas_options *options = &runner->options;
    if (!EL_OPTIONS_TAKE(options, given) || options->on_event == NULL || options->topic_count == 0 ||
        options->topics == NULL) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "sagas need topics, and a handler for their events");
    }
    if (options->tries_max < 1 || options->tries_max > TRIES_MAX || options->setting_count > SETTING_COUNT_MAX ||
        (options->setting_count > 0 && options->settings == NULL)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "tries_max is from 1 to %d, setting_count at most %d", TRIES_MAX,
                       SETTING_COUNT_MAX);
    }
    int rc = el_saga_topic(runner->topic, options->name, EVLOG_SAGA_TOPIC_SUFFIX, failure);
    rc = rc == 0 ? el_saga_topic(runner->timers, options->name, EVLOG_SAGA_TIMER_SUFFIX, failure) : rc;
    for (size_t i = 0; rc == 0 && i < options->topic_count; i++) {
        const char *topic = options->topics[i];
        if (topic == NULL || strcmp(topic, runner->topic) == 0 || strcmp(topic, runner->timers) == 0) {
            rc = el_fail(failure, EVLOG_ERR_ARGUMENT, "the topics of a saga are its events', not %s",
                         topic == NULL ? "none" : topic);
        }
    }
    (void)snprintf(runner->source, sizeof runner->source, "evlog/sagas/%s", rc == 0 ? options->name : "");
    return rc;
}

/* Handlers get the program's own arg, and so does this. */
static bool on_turn(void *arg, const struct evlog_group_counts *counts)
{
    const struct runner *runner = arg;
    return runner->options.on_turn == NULL || runner->options.on_turn(runner->options.arg, counts);
}

int evlog_sagas_run(struct evlog_client *client, const struct evlog_sagas_options *given, struct evlog_failure *failure)
{
    struct evlog_group_run_options run = EVLOG_GROUP_RUN_OPTIONS_INIT;
    struct runner runner = {.client = client, .options = EVLOG_SAGAS_OPTIONS_INIT};
    int rc = check(&runner, given, failure);
    rc = rc == 0 ? make_topics(&runner, failure) : rc;
    rc = rc == 0 ? open_group(&runner, failure) : rc;
    if (rc != 0) {
        return rc;
    }
    run.on_event = on_lease;
    run.arg = &runner;
    run.worker_count = runner.options.worker_count;
    run.until_caught_up = runner.options.until_caught_up;
    run.on_turn = on_turn;
    rc = evlog_group_run(runner.group, &run, failure);
    (void)evlog_group_close(runner.group, -1, NULL);
    return rc;
}
