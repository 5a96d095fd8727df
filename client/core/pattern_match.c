/* SPDX-License-Identifier: Apache-2.0
 *
 * Matching one event; any thread, each with its own scratch. Bytes of events are hostile: nothing here trusts them.
 *
 * 1. key and headers are tried; what is asked of the payload is not known yet
 * 2. if the expression has come to a result, that is it, and the payload is not looked at
 * 3. otherwise the payload is walked once. A value goes to the terms of its node; when an object ends, the scopes of
 *    its node are worked out from the terms below
 * 4. the expression again, now with everything known
 *
 * The scratch holds two bits a term: whether there was a value (SEEN), and whether one made the term true (HELD). An
 * object that begins clears the terms of its node's children. So an array of objects is tried element by element, and
 * its scope is true when one element made all of it true; the elements share the bits, one after the other.
 */
#include "pattern_program.h"

#include <core/assert.h>

#include <string.h>
#include <strings.h>

#define SEEN 1
#define HELD 2

enum payload_format { FORMAT_UNKNOWN, FORMAT_JSON, FORMAT_CBOR };

/* --- expressions ------------------------------------------------------------------------------------------------ */

static enum pattern_truth term_truth(const struct pattern_term *term, const struct pattern_run *run)
{
    uint8_t state = run == NULL ? 0 : run->state[term->id];
    bool held = (state & SEEN) != 0 ? (state & HELD) != 0 : term->missing;
    if (run != NULL && term->payload && !run->payload_known && (state & HELD) == 0) {
        return PATTERN_IS_UNKNOWN;
    }
    return held ? PATTERN_IS_TRUE : PATTERN_IS_FALSE;
}

enum pattern_truth pattern_eval(const struct pattern_op *ops, const struct pattern_run *run)
{
    struct {
        enum pattern_op_kind kind;
        enum pattern_truth so_far;
    } groups[PATTERN_NEST_MAX];
    uint32_t count = 0;
    for (const struct pattern_op *op = ops; op != NULL; op = op->next) {
        enum pattern_truth truth;
        if (op->kind == PATTERN_AND || op->kind == PATTERN_OR) {
            EL_ASSERT(count < PATTERN_NEST_MAX);
            groups[count].kind = op->kind;
            groups[count++].so_far = op->kind == PATTERN_AND ? PATTERN_IS_TRUE : PATTERN_IS_FALSE;
            continue;
        }
        EL_ASSERT(count > 0);
        if (op->kind == PATTERN_END) {
            truth = groups[--count].so_far;
            if (count == 0) {
                EL_ASSERT(op->next == NULL);
                return truth;
            }
        } else {
            truth = term_truth(op->term, run);
        }
        enum pattern_truth *so_far = &groups[count - 1].so_far;
        if (groups[count - 1].kind == PATTERN_AND ? truth < *so_far : truth > *so_far) {
            *so_far = truth;
        }
    }
    EL_ASSERT(false);
    return PATTERN_IS_FALSE;
}

/* --- values ----------------------------------------------------------------------------------------------------- */

static void give_scalar(struct pattern_run *run, const struct pattern_node *node, const struct pattern_value *value)
{
    for (const struct pattern_term *term = node->terms; term != NULL; term = term->next) {
        uint8_t *state = &run->state[term->id];
        bool holds = term->ops != NULL && term->missing; /* an object is asked for: this is none */
        if (term->ops == NULL && (*state & HELD) == 0) {
            const struct pattern_test *test = term->tests;
            while (test != NULL && !pattern_run_spent(run) && !pattern_test_holds(test, value, &run->work)) {
                test = test->next;
            }
            holds = test != NULL;
        }
        *state |= holds ? SEEN | HELD : SEEN;
    }
}

void pattern_run_scalar(struct pattern_run *run, const struct pattern_value *value)
{
    if (run->target != NULL) {
        run->work.done += PATTERN_STEP_BYTES;
        give_scalar(run, run->target, value);
    }
}

void pattern_run_key(struct pattern_run *run, struct el_slice name)
{
    EL_ASSERT(run->depth > 0);
    EL_ASSERT(run->levels[run->depth - 1].object);
    const struct pattern_node *node = run->levels[run->depth - 1].node;
    run->target = node == NULL || node->child_list == NULL ? NULL
                                                           : pattern_child(run->pattern, node, name, &run->work.done);
}

void pattern_run_open(struct pattern_run *run, bool object)
{
    EL_ASSERT(run->depth < PATTERN_VALUE_DEPTH_MAX);
    const struct pattern_node *node = run->target;
    run->levels[run->depth].node = node;
    run->levels[run->depth++].object = object;
    if (object && node != NULL) {
        run->work.done += PATTERN_STEP_BYTES + node->child_term_count;
        memset(run->state + node->child_term_first, 0, node->child_term_count);
    }
}

void pattern_run_close(struct pattern_run *run)
{
    EL_ASSERT(run->depth > 0);
    run->depth--;
    const struct pattern_node *node = run->levels[run->depth].node;
    if (node != NULL && run->levels[run->depth].object && node->has_scope) {
        for (const struct pattern_term *term = node->terms; term != NULL; term = term->next) {
            if (term->ops != NULL) {
                run->work.done += term->op_count;
                bool holds = pattern_eval(term->ops, run) == PATTERN_IS_TRUE;
                run->state[term->id] |= holds ? SEEN | HELD : SEEN;
            }
        }
    }
    /* In an array the next element is asked for the same; in an object a name comes first. */
    run->target = run->depth > 0 && !run->levels[run->depth - 1].object ? run->levels[run->depth - 1].node : NULL;
}

/* --- the event -------------------------------------------------------------------------------------------------- */

static bool ends_with(struct el_slice text, const char *end)
{
    size_t len = strlen(end);
    return text.len >= len && strncasecmp((const char *)text.data + (text.len - len), end, len) == 0;
}

static bool is_content_type(struct el_slice name)
{
    static const char wanted[] = "content-type";
    return name.len == sizeof wanted - 1 && ends_with(name, wanted);
}

static enum payload_format format_of_type(struct el_slice type)
{
    const uint8_t *end = type.len == 0 ? NULL : memchr(type.data, ';', type.len);
    type.len = end == NULL ? type.len : (size_t)(end - type.data);
    while (type.len > 0 && type.data[type.len - 1] == ' ') {
        type.len--;
    }
    if (ends_with(type, "/cbor") || ends_with(type, "+cbor")) {
        return FORMAT_CBOR;
    }
    return ends_with(type, "/json") || ends_with(type, "+json") ? FORMAT_JSON : FORMAT_UNKNOWN;
}

static void give_text(struct pattern_run *run, const struct pattern_node *node, struct el_slice text)
{
    struct pattern_value value = {
        .kind = text.data == NULL ? PATTERN_VALUE_NULL : PATTERN_VALUE_TEXT,
        .maybe_number = text.data != NULL,
        .text = text,
    };
    run->work.done += PATTERN_STEP_BYTES;
    give_scalar(run, node, &value);
}

static enum payload_format try_headers(struct pattern_run *run, const struct el_pattern_event *event)
{
    enum payload_format format = FORMAT_UNKNOWN;
    struct el_slice name, value;
    while (event->header_next != NULL && event->header_next(event->headers, &name, &value)) {
        const struct pattern_node *node = pattern_child(run->pattern, &run->pattern->event, name, &run->work.done);
        if (node != NULL && node != run->pattern->key && node != run->pattern->data && !pattern_run_spent(run)) {
            give_text(run, node, value);
        }
        if (is_content_type(name)) {
            format = format_of_type(value);
        }
    }
    return format;
}

/* A payload is there, whatever it holds: that is all that exists asks for. */
static void give_presence(struct pattern_run *run)
{
    for (const struct pattern_term *term = run->pattern->data->terms; term != NULL; term = term->next) {
        if (term->ops == NULL) {
            run->state[term->id] |= term->exists ? SEEN | HELD : SEEN;
        }
    }
}

/* JSON begins with an ASCII character; of CBOR a map, an array or the tag that marks it does not. */
static bool walk_payload(struct pattern_run *run, struct el_slice payload, enum payload_format format)
{
    if (payload.len == 0) {
        return false;
    }
    if (format == FORMAT_UNKNOWN) {
        format = payload.data[0] < 0x80 ? FORMAT_JSON : FORMAT_CBOR;
    }
    run->target = run->pattern->data;
    return format == FORMAT_CBOR ? pattern_run_cbor(run, payload) : pattern_run_json(run, payload);
}

size_t el_pattern_scratch_len(const struct el_pattern *pattern)
{
    return pattern->term_count;
}

static enum el_pattern_verdict match(struct pattern_run *run, const struct el_pattern_event *event)
{
    const struct el_pattern *pattern = run->pattern;
    if (pattern->key != NULL && event->key.data != NULL) {
        give_text(run, pattern->key, event->key);
    }
    if (pattern->data != NULL && event->value.data != NULL) {
        give_presence(run);
    }
    enum payload_format format = try_headers(run, event);
    enum pattern_truth truth = pattern_eval(pattern->ops, run);
    if (!pattern_run_spent(run) && truth == PATTERN_IS_UNKNOWN) {
        bool parsed = walk_payload(run, event->value, format);
        if (!parsed && !pattern_run_spent(run)) {
            return EL_PATTERN_UNPARSABLE;
        }
        run->payload_known = true;
        truth = pattern_run_spent(run) ? PATTERN_IS_FALSE : pattern_eval(pattern->ops, run);
    }
    if (pattern_run_spent(run)) {
        return EL_PATTERN_TOO_MANY_STEPS;
    }
    EL_ASSERT(truth != PATTERN_IS_UNKNOWN);
    return truth == PATTERN_IS_TRUE ? EL_PATTERN_MATCH : EL_PATTERN_NO_MATCH;
}

enum el_pattern_verdict el_pattern_match_counted(const struct el_pattern *pattern, const struct el_pattern_event *event,
                                                 void *scratch, uint32_t steps_max, uint64_t *steps)
{
    struct pattern_run run;
    run.pattern = pattern;
    run.state = scratch;
    run.payload_known = event->value.data == NULL || pattern->data == NULL;
    run.work = (struct pattern_work){0, (uint64_t)steps_max * PATTERN_STEP_BYTES};
    run.target = NULL;
    run.depth = 0;
    memset(scratch, 0, pattern->term_count);
    enum el_pattern_verdict verdict = match(&run, event);
    *steps += EL_MIN(run.work.done, run.work.max) / PATTERN_STEP_BYTES + 1;
    return verdict;
}

enum el_pattern_verdict el_pattern_match(const struct el_pattern *pattern, const struct el_pattern_event *event,
                                         void *scratch, uint32_t steps_max)
{
    uint64_t steps = 0;
    return el_pattern_match_counted(pattern, event, scratch, steps_max, &steps);
}
