/* SPDX-License-Identifier: Apache-2.0
 *
 * Redrives of dead letters from outside: begun, listed, cancelled; states of letters; parked keys. Blocking, any
 * thread.
 */
#include "client_core.h"
#include "fail.h"
#include "group_ask.h"

#include <core/alloc.h>
#include <evlog/redrive.h>
#include <stdio.h>
#include <wire/error_code.h>
#include <wire/msg_ext_letter_states.h>
#include <wire/msg_ext_redrive_start.h>
#include <wire/msg_ext_redrive_tasks.h>
#include <wire/msg_ext_release_key.h>

#define RANGES_MAX 64u
#define WHAT_LEN 600

enum { ACTION_BACK, ACTION_DROP, ACTION_COPY };
enum { VERB_LIST, VERB_DESCRIBE, VERB_CANCEL };

static int ask(struct evlog_client *client, const struct el_evlog_ask *question, struct el_call *call, void *response,
               struct evlog_failure *failure)
{
    struct el_evlog_ask of = *question;
    of.cannot = "know redrives of dead letters";
    return el_evlog_ask(client, &of, call, response, failure);
}

/* --- begin -------------------------------------------------------------------------------------------------------- */

static struct el_slice text_of(const char *text)
{
    return text == NULL ? (struct el_slice){0} : el_slice_str(text);
}

static int start_code(const void *response)
{
    return ((const struct el_msg_ext_redrive_start_response *)response)->error;
}

static int start_check(const struct evlog_redrive_options *options, struct evlog_failure *failure)
{
    if (options == NULL || options->size < sizeof *options || options->group == NULL || options->topic == NULL) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "a redrive needs a group and a topic of dead letters");
    }
    if (options->drop && options->to != NULL) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "letters are dropped, or copied to a topic: not both");
    }
    if (options->range_count > RANGES_MAX || options->rate < 0) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "a redrive takes at most %u ranges, and a rate of 0 or more",
                       RANGES_MAX);
    }
    return 0;
}

/* Letters are read, and a copy is written. */
static void name_topics(const struct evlog_redrive_options *options, struct evlog_failure *failure)
{
    el_fail_right(failure, "read topic", options->topic);
    if (failure != NULL && failure->code == EVLOG_ERR_TOPIC_DENIED && options->to != NULL) {
        el_fail_hint(
            failure,
            "'evlog acl allow PRINCIPAL write topic %.60s' and 'evlog acl allow PRINCIPAL read topic %.60s' give "
            "the rights",
            options->to, options->topic);
    }
}

int evlog_redrive_start(struct evlog_client *client, const struct evlog_redrive_options *options, uint64_t *id,
                        struct evlog_failure *failure)
{
    struct el_msg_ext_redrive_start_range ranges[RANGES_MAX];
    struct el_msg_ext_redrive_start_request request;
    struct el_msg_ext_redrive_start_response response;
    struct el_call call;
    char what[WHAT_LEN];
    int rc = start_check(options, failure);
    if (rc != 0) {
        return rc;
    }
    el_schema_init(&el_schema_ext_redrive_start_request, &request);
    for (size_t i = 0; i < options->range_count; i++) {
        el_schema_init(&el_schema_ext_redrive_start_range, &ranges[i]);
        ranges[i].partition = options->ranges[i].partition;
        ranges[i].first = options->ranges[i].first;
        ranges[i].last = options->ranges[i].last;
    }
    request.group = el_slice_str(options->group);
    request.topic = el_slice_str(options->topic);
    request.action = options->to != NULL ? ACTION_COPY : options->drop ? ACTION_DROP : ACTION_BACK;
    request.to = text_of(options->to);
    request.dry_run = options->dry_run;
    request.rate = options->rate;
    request.key = el_slice_of(options->key.data, options->key.len);
    request.reason = text_of(options->reason);
    request.pattern = text_of(options->pattern);
    request.since_ms = options->since_ms;
    request.until_ms = options->until_ms;
    request.ranges = ranges;
    request.range_count = (uint32_t)options->range_count;
    rc = ask(
        client,
        &(struct el_evlog_ask){.api = EL_API_RedriveStart, .request = &request, .code_of = start_code, .once = true},
        &call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    (void)snprintf(what, sizeof what, "dead letters %.250s, group %.250s", options->topic, options->group);
    if (response.error != 0) {
        rc = el_fail_kafka(failure, response.error, response.message, what);
        el_fail_right(failure, "read group", options->group);
        name_topics(options, failure);
    } else {
        *id = response.id;
    }
    el_call_free(&call);
    return rc;
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

struct list_object {
    struct evlog_redrive_list list;
    struct el_arena arena;
};

static const char *copy_text(struct el_arena *arena, struct el_slice text)
{
    return el_arena_strndup(arena, text.data == NULL ? (const uint8_t *)"" : text.data, text.len);
}

static int copy_tasks(struct list_object *object, const struct el_msg_ext_redrive_tasks_response *response)
{
    struct evlog_redrive *redrives = el_arena_zalloc(&object->arena, (response->task_count + 1) * sizeof *redrives);
    for (uint32_t i = 0; redrives != NULL && i < response->task_count; i++) {
        const struct el_msg_ext_redrive_tasks_task *task = &response->tasks[i];
        redrives[i] = (struct evlog_redrive){
            .id = task->id,
            .group = copy_text(&object->arena, task->group),
            .topic = copy_text(&object->arena, task->topic),
            .state = copy_text(&object->arena, task->state),
            .why = copy_text(&object->arena, task->why),
            .to = task->to.data == NULL ? NULL : copy_text(&object->arena, task->to),
            .drop = task->action == ACTION_DROP,
            .dry_run = task->dry_run,
            .rate = task->rate,
            .began_ms = task->began_ms,
            .ended_ms = task->ended_ms,
            .partition = task->partition,
            .offset = task->offset,
            .total = task->total,
            .seen = task->seen,
            .matched = task->matched,
            .redriven = task->redriven,
            .dropped = task->dropped,
            .gone = task->gone,
            .passed = task->passed,
            .settled = task->settled,
            .others = task->others,
        };
        const struct evlog_redrive *r = &redrives[i];
        if (r->group == NULL || r->topic == NULL || r->state == NULL || r->why == NULL ||
            (task->to.data != NULL && r->to == NULL)) {
            return EVLOG_ERR_NO_MEMORY;
        }
    }
    object->list = (struct evlog_redrive_list){redrives, response->task_count};
    return redrives == NULL ? EVLOG_ERR_NO_MEMORY : 0;
}

static int tasks_code(const void *response)
{
    return ((const struct el_msg_ext_redrive_tasks_response *)response)->error;
}

static int tasks(struct evlog_client *client, const struct el_msg_ext_redrive_tasks_request *request,
                 struct evlog_redrive_list **list, struct evlog_failure *failure)
{
    struct el_msg_ext_redrive_tasks_response response;
    struct el_call call;
    int rc = ask(client, &(struct el_evlog_ask){.api = EL_API_RedriveTasks, .request = request, .code_of = tasks_code},
                 &call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    if (response.error == EL_KAFKA_RESOURCE_NOT_FOUND) {
        rc = el_fail(failure, EVLOG_ERR_NOT_FOUND, "there is no redrive %llu, or it is not kept any more",
                     (unsigned long long)request->id);
    } else if (response.error != 0) {
        rc = el_fail_kafka(failure, response.error, response.message, "redrive");
        el_fail_right(failure, "read group", NULL);
    } else if (list != NULL) {
        struct list_object *object = el_calloc(1, sizeof *object);
        if (object != NULL) {
            el_arena_init(&object->arena, NULL, 0);
        }
        if (object == NULL || copy_tasks(object, &response) != 0) {
            evlog_redrive_list_free(object == NULL ? NULL : &object->list);
            rc = el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for an answer");
        } else {
            *list = &object->list;
        }
    }
    el_call_free(&call);
    return rc;
}

int evlog_redrive_list(struct evlog_client *client, const char *topic, struct evlog_redrive_list **list,
                       struct evlog_failure *failure)
{
    struct el_msg_ext_redrive_tasks_request request;
    el_schema_init(&el_schema_ext_redrive_tasks_request, &request);
    request.verb = VERB_LIST;
    request.topic = text_of(topic);
    return tasks(client, &request, list, failure);
}

int evlog_redrive_find(struct evlog_client *client, uint64_t id, struct evlog_redrive_list **list,
                       struct evlog_failure *failure)
{
    struct el_msg_ext_redrive_tasks_request request;
    el_schema_init(&el_schema_ext_redrive_tasks_request, &request);
    request.verb = VERB_DESCRIBE;
    request.id = id;
    return tasks(client, &request, list, failure);
}

int evlog_redrive_cancel(struct evlog_client *client, uint64_t id, struct evlog_failure *failure)
{
    struct el_msg_ext_redrive_tasks_request request;
    el_schema_init(&el_schema_ext_redrive_tasks_request, &request);
    request.verb = VERB_CANCEL;
    request.id = id;
    return tasks(client, &request, NULL, failure);
}

void evlog_redrive_list_free(struct evlog_redrive_list *list)
{
    if (list != NULL) {
        struct list_object *object = EL_CONTAINER(list, struct list_object, list);
        el_arena_reset(&object->arena);
        el_free(object);
    }
}

/* --- letters ------------------------------------------------------------------------------------------------------ */

struct letters_object {
    struct evlog_letter_list list;
    struct evlog_letters *letters;
    size_t room;
};

static int letters_add(struct letters_object *object, const struct el_msg_ext_letter_states_response *response)
{
    size_t count = object->list.letter_count + response->range_count;
    if (count > object->room) {
        size_t room = EL_MAX(object->room * 2, count);
        struct evlog_letters *grown = el_realloc(object->letters, room * sizeof *grown);
        if (grown == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        object->letters = grown;
        object->room = room;
    }
    for (uint32_t i = 0; i < response->range_count; i++) {
        const struct el_msg_ext_letter_states_range *range = &response->ranges[i];
        object->letters[object->list.letter_count++] = (struct evlog_letters){
            range->first, range->last, el_slice_eq(range->state, el_slice_str("dropped"))};
    }
    object->list.letters = object->letters;
    return 0;
}

static int states_code(const void *response)
{
    return ((const struct el_msg_ext_letter_states_response *)response)->error;
}

int evlog_letter_list(struct evlog_client *client, const char *group, const char *topic, int32_t partition,
                      struct evlog_letter_list **list, struct evlog_failure *failure)
{
    struct el_msg_ext_letter_states_request request;
    struct letters_object *object = el_calloc(1, sizeof *object);
    int rc = object == NULL ? el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for an answer") : 0;
    el_schema_init(&el_schema_ext_letter_states_request, &request);
    request.group = el_slice_str(group);
    request.topic = el_slice_str(topic);
    request.partition = partition;
    for (bool more = true; rc == 0 && more;) {
        struct el_msg_ext_letter_states_response response;
        struct el_call call;
        char what[WHAT_LEN];
        rc = ask(client,
                 &(struct el_evlog_ask){.api = EL_API_LetterStates, .request = &request, .code_of = states_code}, &call,
                 &response, failure);
        if (rc != 0) {
            break;
        }
        (void)snprintf(what, sizeof what, "dead letters %.250s, group %.250s", topic, group);
        if (response.error != 0) {
            rc = el_fail_kafka(failure, response.error, response.message, what);
            el_fail_right(failure, "describe group", group);
            el_fail_right(failure, "describe topic", topic);
        } else if (letters_add(object, &response) != 0) {
            rc = el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for an answer");
        }
        more = response.range_count > 0 && response.end > request.first && response.end < INT64_MAX;
        request.first = response.end;
        el_call_free(&call);
    }
    if (rc != 0) {
        evlog_letter_list_free(object == NULL ? NULL : &object->list);
        return rc;
    }
    *list = &object->list;
    return 0;
}

void evlog_letter_list_free(struct evlog_letter_list *list)
{
    if (list != NULL) {
        struct letters_object *object = EL_CONTAINER(list, struct letters_object, list);
        el_free(object->letters);
        el_free(object);
    }
}

/* --- parked keys -------------------------------------------------------------------------------------------------- */

static int release_code(const void *response)
{
    return ((const struct el_msg_ext_release_key_response *)response)->error;
}

/* parked NULL: wherever it is; probe: it is written, else it is what is released. */
static int release(struct evlog_client *client, const char *group, const char *topic, struct evlog_bytes key,
                   struct evlog_parked *parked, bool probe, struct evlog_failure *failure)
{
    struct el_msg_ext_release_key_request request;
    struct el_msg_ext_release_key_response response;
    struct el_call call;
    char what[WHAT_LEN];
    el_schema_init(&el_schema_ext_release_key_request, &request);
    request.group = el_slice_str(group);
    request.topic = el_slice_str(topic);
    request.key = el_slice_of(key.data, key.len);
    request.probe = probe;
    request.partition = parked == NULL || probe ? -1 : parked->partition;
    request.token = parked == NULL || probe ? 0 : parked->token;
    int rc = ask(client, &(struct el_evlog_ask){.api = EL_API_ReleaseKey, .request = &request, .code_of = release_code},
                 &call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    (void)snprintf(what, sizeof what, "work group %.250s, topic %.250s", group, topic);
    if (response.error == EL_KAFKA_RESOURCE_NOT_FOUND) {
        rc = el_fail(failure, EVLOG_ERR_NOT_FOUND, "%s: the key is not parked", what);
    } else if (response.error == EL_KAFKA_FENCED_STATE_EPOCH) {
        rc = el_fail(failure, EVLOG_ERR_AGAIN, "%s: more events of the key have become dead letters meanwhile", what);
    } else if (response.error != 0) {
        rc = el_fail_kafka(failure, response.error, response.message, what);
        el_fail_right(failure, "read group", group);
        el_fail_right(failure, "read topic", topic);
    } else if (probe) {
        *parked = (struct evlog_parked){response.partition, response.token};
    }
    el_call_free(&call);
    return rc;
}

int evlog_key_release(struct evlog_client *client, const char *group, const char *topic, struct evlog_bytes key,
                      struct evlog_failure *failure)
{
    return release(client, group, topic, key, NULL, false, failure);
}

int evlog_key_parked(struct evlog_client *client, const char *group, const char *topic, struct evlog_bytes key,
                     struct evlog_parked *parked, struct evlog_failure *failure)
{
    return release(client, group, topic, key, parked, true, failure);
}

int evlog_key_release_after(struct evlog_client *client, const char *group, const char *topic, struct evlog_bytes key,
                            const struct evlog_parked *parked, struct evlog_failure *failure)
{
    struct evlog_parked at = *parked;
    return release(client, group, topic, key, &at, false, failure);
}
