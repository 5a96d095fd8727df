/* SPDX-License-Identifier: Apache-2.0
 *
 * What handlers say of a step; and the steps that undo a saga.
 *
 * A step that cannot hold what was said is not stored at all, so each of these calls remembers the first failure: a
 * handler that does not look at them loses no command.
 */
#include "saga_state.h"

#include "fail.h"
#include <core/utf8.h>
#include <evlog/error.h>

#define UNWIND_LEN_MAX (EVLOG_SAGA_STEP_LEN_MAX / 2)
#define UNWIND_COUNT_MAX 64

void el_saga_step_init(struct evlog_saga_step *step, int64_t now_ms)
{
    memset(step, 0, sizeof *step);
    step->now_ms = now_ms;
    step->record.status = EVLOG_SAGA_RUNNING;
}

void el_saga_step_free(struct evlog_saga_step *step)
{
    el_arena_reset(&step->arena);
}

/* Count what was said. returns rc, or what does not fit */
static int said(struct evlog_saga_step *step, size_t len, int rc)
{
    step->touched = true;
    step->len += len;
    if (rc == 0 && step->len > EVLOG_SAGA_STEP_LEN_MAX) {
        rc = EVLOG_ERR_LIMIT;
    }
    if (step->err == 0) {
        step->err = rc;
    }
    return rc;
}

static bool is_text(const char *text)
{
    return text == NULL || el_utf8_valid(text, strlen(text));
}

int evlog_saga_keep(struct evlog_saga_step *step, struct evlog_bytes state)
{
    struct evlog_bytes copy = state;
    if (state.len > EVLOG_SAGA_STEP_LEN_MAX) {
        return said(step, state.len, EVLOG_ERR_LIMIT);
    }
    if (!el_saga_bytes_copy(&step->arena, &copy)) {
        return said(step, 0, EVLOG_ERR_NO_MEMORY);
    }
    step->record.has_state = true;
    step->record.state = copy;
    return said(step, state.len, 0);
}

static int add(struct evlog_saga_step *step, struct el_saga_commands *list, const struct evlog_saga_command *given)
{
    struct evlog_saga_command command = EVLOG_SAGA_COMMAND_INIT;
    if (given == NULL || !EL_OPTIONS_TAKE(&command, given) || command.topic == NULL || command.topic[0] == '\0' ||
        !is_text(command.topic) || !is_text(command.type) || !is_text(command.content_type) ||
        !is_text(command.until)) {
        return said(step, 0, EVLOG_ERR_ARGUMENT);
    }
    command.size = sizeof command;
    size_t len = el_saga_command_len(&command);
    if (list->count == EVLOG_SAGA_STEP_COUNT_MAX || len > EVLOG_SAGA_STEP_LEN_MAX) {
        return said(step, 0, EVLOG_ERR_LIMIT);
    }
    return said(step, len, el_saga_commands_add(&step->arena, list, &command));
}

int evlog_saga_command(struct evlog_saga_step *step, const struct evlog_saga_command *command)
{
    return add(step, &step->record.commands, command);
}

int evlog_saga_undo(struct evlog_saga_step *step, const struct evlog_saga_command *command)
{
    return add(step, &step->record.undo, command);
}

int evlog_saga_timer(struct evlog_saga_step *step, const char *name, int64_t after_ms)
{
    struct el_saga_record *record = &step->record;
    if (name == NULL || name[0] == '\0' || !is_text(name) || after_ms < 0 || after_ms > INT64_MAX / 4) {
        return said(step, 0, EVLOG_ERR_ARGUMENT);
    }
    if (record->timer_count == EVLOG_SAGA_STEP_COUNT_MAX || strlen(name) > EVLOG_SAGA_STEP_LEN_MAX) {
        return said(step, 0, EVLOG_ERR_LIMIT);
    }
    if (record->timers == NULL) {
        record->timers = el_arena_alloc(&step->arena, EVLOG_SAGA_STEP_COUNT_MAX * sizeof *record->timers);
    }
    char *copy = el_arena_strndup(&step->arena, name, strlen(name));
    if (record->timers == NULL || copy == NULL) {
        return said(step, 0, EVLOG_ERR_NO_MEMORY);
    }
    record->timers[record->timer_count++] = (struct el_saga_timer){copy, step->now_ms + after_ms};
    return said(step, strlen(name) + 256, 0);
}

int evlog_saga_complete(struct evlog_saga_step *step)
{
    /* Ended well and undone at the same time: one of the two is a mistake. */
    bool clashes = step->record.status == EVLOG_SAGA_COMPENSATING;
    step->record.status = clashes ? EVLOG_SAGA_COMPENSATING : EVLOG_SAGA_COMPLETED;
    return said(step, 0, clashes ? EVLOG_ERR_ARGUMENT : 0);
}

int evlog_saga_fail(struct evlog_saga_step *step, const char *reason)
{
    if (step->record.status == EVLOG_SAGA_COMPLETED || !is_text(reason)) {
        return said(step, 0, EVLOG_ERR_ARGUMENT);
    }
    const char *text = reason == NULL ? "failed" : reason;
    step->record.status = EVLOG_SAGA_COMPENSATING;
    step->record.reason = el_arena_strndup(&step->arena, text, strlen(text));
    return said(step, strlen(text), step->record.reason == NULL ? EVLOG_ERR_NO_MEMORY : 0);
}

int el_saga_unwind(const struct evlog_saga *saga, struct evlog_saga_step *step)
{
    struct el_saga_record *record = &step->record;
    size_t left = saga->undo.count, len = 0;
    while (left > 0 && record->until == NULL && len < UNWIND_LEN_MAX && record->commands.count < UNWIND_COUNT_MAX) {
        const struct evlog_saga_command *command = &saga->undo.items[--left];
        int rc = el_saga_commands_add(&step->arena, &record->commands, command);
        if (rc != 0) {
            return rc;
        }
        struct evlog_saga_command *added = &record->commands.items[record->commands.count - 1];
        record->until = added->until;
        added->until = NULL;
        record->undone++;
        len += el_saga_command_len(command);
    }
    record->status = left == 0 && record->until == NULL ? EVLOG_SAGA_COMPENSATED : EVLOG_SAGA_COMPENSATING;
    return 0;
}
