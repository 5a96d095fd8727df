/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiler of patterns, first half: objects, names and $or. Any thread; allocates from the caller's arena only.
 *
 * 1. all texts are scanned: what is no JSON is refused, and the names are counted, which bounds the table of nodes
 * 2. each text is read token by token; objects and $or that are open lie on a stack. A name finds or makes its node,
 *    an array becomes a leaf there, an object a scope
 * 3. the terms get their ids, those of one parent's children in a row
 *
 * A refusal names line, column and reason; what has been built until then is scrap in the arena.
 */
#include "pattern_parse.h"

#include <core/assert.h>
#include <core/hash.h>
#include <core/utf8.h>

#include <stdarg.h>
#include <stdio.h>

#define REASON_MAX 300
#define PATTERN_LOOK_BYTES 4 /* of work, for a node of another name */
#define FRAME_MAX (2 * EL_PATTERN_DEPTH_MAX + 1)

/* The expression of one object, which its alternatives of $or add to. */
struct scope {
    struct pattern_term *term; /* NULL: the expression of the set */
    struct pattern_op *first;
    struct pattern_op *last;
    uint32_t op_count;
};

/* Names of one object, so that none occurs twice. */
struct taken {
    const struct pattern_node *node;
    struct taken *next;
};

/* An object or the array of an $or, which is open. */
struct frame {
    bool is_or;
    bool own_scope; /* the scope ends with the object */
    struct scope *scope;
    struct pattern_node *node;
    uint32_t count; /* names or alternatives so far */
    bool or_taken;  /* $or has occurred in the object */
    struct taken *taken;
};

struct stack {
    struct frame frames[FRAME_MAX];
    uint32_t count;
    uint32_t object_count;
};

/* --- shared with pattern_matcher.c ------------------------------------------------------------------------------ */

static int refuse(struct pattern_parse *parse, int code, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

static int refuse(struct pattern_parse *parse, int code, const char *format, va_list args)
{
    char why[REASON_MAX];
    const struct el_json_walk *walk = &parse->walk;
    (void)vsnprintf(why, sizeof why, format, args);
    return el_json_scan_refuse(parse->err, code, walk->base, (size_t)(walk->start - walk->base), why);
}

int pattern_refuse(struct pattern_parse *parse, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int code = refuse(parse, EVLOG_ERR_MALFORMED, format, args);
    va_end(args);
    return code;
}

int pattern_refuse_limit(struct pattern_parse *parse, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int code = refuse(parse, EVLOG_ERR_LIMIT, format, args);
    va_end(args);
    return code;
}

int pattern_no_memory(struct pattern_parse *parse)
{
    return el_error_set(parse->err, EVLOG_ERR_NO_MEMORY, "not enough memory for the pattern");
}

enum el_json_token pattern_token(struct pattern_parse *parse)
{
    int rc = el_json_walk_next(&parse->walk);
    EL_ASSERT(rc == 0);
    return parse->walk.token;
}

int pattern_string(struct pattern_parse *parse, struct el_slice *text)
{
    const uint8_t *p = parse->walk.start + 1, *end = parse->walk.stop - 1;
    /* An escape is never shorter than what it stands for. */
    uint8_t *out = el_arena_alloc(parse->arena, (size_t)(end - p) + 4);
    size_t len = 0;
    if (out == NULL) {
        return pattern_no_memory(parse);
    }
    while (p != end) {
        uint32_t point;
        p += el_json_scan_char(p, (size_t)(end - p), &point);
        len += el_utf8_put(point, out + len);
    }
    *text = el_slice_of(out, len);
    return 0;
}

/* --- nodes ------------------------------------------------------------------------------------------------------ */

/* The slot that holds the node, or would. Names may be chosen so that many share a slot: each look is counted. */
static uint32_t slot_of(const struct el_pattern *pattern, const struct pattern_node *parent, struct el_slice name,
                        uint64_t *work)
{
    uint32_t slot = ((uint32_t)el_xxh3(name.data, name.len) + parent->number * 0x9e3779b9u) & pattern->slot_mask;
    while (pattern->slots[slot] != NULL &&
           (pattern->slots[slot]->parent != parent || !el_slice_eq(pattern->slots[slot]->name, name))) {
        slot = (slot + 1) & pattern->slot_mask;
        *work += PATTERN_LOOK_BYTES;
    }
    return slot;
}

struct pattern_node *pattern_child(const struct el_pattern *pattern, const struct pattern_node *parent,
                                   struct el_slice name, uint64_t *work)
{
    *work += PATTERN_STEP_BYTES;
    return name.len > EL_PATTERN_NAME_MAX ? NULL : pattern->slots[slot_of(pattern, parent, name, work)];
}

static int node_find_or_make(struct pattern_parse *parse, struct pattern_node *parent, struct pattern_node **node)
{
    struct el_slice name;
    int rc = pattern_string(parse, &name);
    if (rc != 0) {
        return rc;
    }
    if (name.len > EL_PATTERN_NAME_MAX) {
        return pattern_refuse_limit(parse, "the name is too long: %d bytes are the most", EL_PATTERN_NAME_MAX);
    }
    struct el_pattern *pattern = parse->pattern;
    uint64_t work = 0;
    uint32_t slot = slot_of(pattern, parent, name, &work);
    if (pattern->slots[slot] == NULL) {
        struct pattern_node *made = el_arena_zalloc(parse->arena, sizeof *made);
        if (made == NULL) {
            return pattern_no_memory(parse);
        }
        EL_ASSERT(pattern->node_count < pattern->slot_mask / 2 + 1);
        made->name = name;
        made->parent = parent;
        made->number = ++pattern->node_count;
        made->sibling = parent->child_list;
        parent->child_list = made;
        parse->made_last->made_next = made;
        parse->made_last = made;
        pattern->slots[slot] = made;
    }
    *node = pattern->slots[slot];
    return 0;
}

static struct pattern_term *term_new(struct pattern_parse *parse, struct pattern_node *node)
{
    struct pattern_term *term = el_arena_zalloc(parse->arena, sizeof *term);
    if (term != NULL) {
        term->next = node->terms;
        node->terms = term;
    }
    return term;
}

/* --- expressions ------------------------------------------------------------------------------------------------ */

static int emit(struct pattern_parse *parse, struct scope *scope, enum pattern_op_kind kind,
                const struct pattern_term *term)
{
    struct pattern_op *op = el_arena_zalloc(parse->arena, sizeof *op);
    if (op == NULL) {
        return pattern_no_memory(parse);
    }
    op->kind = kind;
    op->term = term;
    if (scope->first == NULL) {
        scope->first = op;
    } else {
        scope->last->next = op;
    }
    scope->last = op;
    scope->op_count++;
    return 0;
}

static int push(struct pattern_parse *parse, struct stack *stack, struct frame frame)
{
    if (!frame.is_or && stack->object_count == parse->limits->depth_max) {
        return pattern_refuse_limit(parse, "objects are nested too deeply: %u levels are the most",
                                    parse->limits->depth_max);
    }
    EL_ASSERT(stack->count < FRAME_MAX);
    stack->frames[stack->count++] = frame;
    stack->object_count += !frame.is_or;
    return emit(parse, frame.scope, frame.is_or ? PATTERN_OR : PATTERN_AND, NULL);
}

/* The innermost object or $or ends. */
static int pop(struct pattern_parse *parse, struct stack *stack)
{
    struct frame *frame = &stack->frames[--stack->count];
    stack->object_count -= !frame->is_or;
    if (frame->count == 0) {
        return pattern_refuse(parse, frame->is_or ? "$or needs at least one alternative: write an object"
                                                  : "an empty object asks for nothing: write a name and an array");
    }
    int rc = emit(parse, frame->scope, PATTERN_END, NULL);
    if (rc == 0 && frame->own_scope) {
        struct pattern_term *term = frame->scope->term;
        term->ops = frame->scope->first;
        term->op_count = frame->scope->op_count;
        term->missing = pattern_eval(term->ops, NULL) == PATTERN_IS_TRUE;
    }
    return rc;
}

/* --- objects ---------------------------------------------------------------------------------------------------- */

static enum pattern_place place_of(const struct el_pattern *pattern, const struct pattern_node *node)
{
    if (node == pattern->key) {
        return PATTERN_IN_KEY;
    }
    return node->parent == &pattern->event && node != pattern->data ? PATTERN_IN_HEADER : PATTERN_IN_PAYLOAD;
}

/* key and data are told apart from headers. */
static void note_name(struct el_pattern *pattern, struct pattern_node *node)
{
    if (node->parent == &pattern->event && el_slice_eq(node->name, el_slice_str("key"))) {
        pattern->key = node;
    }
    if (node->parent == &pattern->event && el_slice_eq(node->name, el_slice_str("data"))) {
        pattern->data = node;
    }
}

static int take_name(struct pattern_parse *parse, struct frame *frame, const struct pattern_node *node)
{
    for (const struct taken *taken = frame->taken; taken != NULL; taken = taken->next) {
        if (taken->node == node) {
            return pattern_refuse(parse, "the name occurs twice in its object: put both into one array, or use $or");
        }
    }
    struct taken *taken = el_arena_alloc(parse->arena, sizeof *taken);
    if (taken == NULL) {
        return pattern_no_memory(parse);
    }
    *taken = (struct taken){node, frame->taken};
    frame->taken = taken;
    frame->count++;
    return 0;
}

static int open_scope(struct pattern_parse *parse, struct stack *stack, struct pattern_node *node,
                      struct pattern_term *term)
{
    struct scope *scope = el_arena_zalloc(parse->arena, sizeof *scope);
    if (scope == NULL) {
        return pattern_no_memory(parse);
    }
    scope->term = term;
    node->has_scope = true;
    return push(parse, stack, (struct frame){.own_scope = true, .scope = scope, .node = node});
}

static int parse_or(struct pattern_parse *parse, struct stack *stack, struct frame *frame)
{
    if (frame->or_taken) {
        return pattern_refuse(parse, "$or occurs twice in its object: put the second one into an object of its own");
    }
    frame->or_taken = true;
    frame->count++;
    if (pattern_token(parse) != EL_JSON_TOKEN_ARRAY) {
        return pattern_refuse(parse, "an array of objects is expected behind $or");
    }
    return push(parse, stack, (struct frame){.is_or = true, .scope = frame->scope, .node = frame->node});
}

/* What belongs to a name: the leaf, or the beginning of the object. */
static int parse_value(struct pattern_parse *parse, struct stack *stack, struct pattern_node *node)
{
    struct scope *scope = stack->frames[stack->count - 1].scope;
    enum pattern_place place = place_of(parse->pattern, node);
    enum el_json_token token = pattern_token(parse);
    if (token == EL_JSON_TOKEN_OBJECT && place != PATTERN_IN_PAYLOAD) {
        return pattern_refuse(parse, "keys and headers are text without names in it: write an array");
    }
    if (token != EL_JSON_TOKEN_OBJECT && token != EL_JSON_TOKEN_ARRAY) {
        return pattern_refuse(parse, "what may match stands in an array: write [ ] around it");
    }
    struct pattern_term *term = term_new(parse, node);
    if (term == NULL) {
        return pattern_no_memory(parse);
    }
    int rc = emit(parse, scope, PATTERN_TERM, term);
    if (rc == 0 && token == EL_JSON_TOKEN_OBJECT) {
        term->payload = node == parse->pattern->data;
        return open_scope(parse, stack, node, term);
    }
    rc = rc != 0 ? rc : pattern_parse_leaf(parse, place, term);
    term->payload = term->payload && node == parse->pattern->data;
    return rc;
}

/* A member of an object, whose name is the current token. */
static int parse_member(struct pattern_parse *parse, struct stack *stack)
{
    struct frame *frame = &stack->frames[stack->count - 1];
    const struct el_json_walk *walk = &parse->walk;
    struct pattern_node *node = NULL;
    if (el_slice_eq(el_slice_of(walk->start, (size_t)(walk->stop - walk->start)), el_slice_str("\"$or\""))) {
        return parse_or(parse, stack, frame);
    }
    int rc = node_find_or_make(parse, frame->node, &node);
    if (rc == 0) {
        rc = take_name(parse, frame, node);
    }
    if (rc != 0) {
        return rc;
    }
    EL_ASSERT(node != NULL);
    note_name(parse->pattern, node);
    return parse_value(parse, stack, node);
}

/* One alternative of an $or: an object about the same value as the object around it. */
static int parse_alternative(struct pattern_parse *parse, struct stack *stack)
{
    struct frame *frame = &stack->frames[stack->count - 1];
    if (parse->walk.token != EL_JSON_TOKEN_OBJECT) {
        return pattern_refuse(parse, "the alternatives of $or are objects: write { } around it");
    }
    frame->count++;
    return push(parse, stack, (struct frame){.scope = frame->scope, .node = frame->node});
}

/* One pattern, whose opening brace is the current token. */
static int parse_pattern(struct pattern_parse *parse, struct scope *set)
{
    struct stack stack;
    stack.count = stack.object_count = 0;
    parse->matcher_count = 0;
    if (parse->walk.token != EL_JSON_TOKEN_OBJECT) {
        return pattern_refuse(parse, "a pattern is an object: write {\"NAME\": [ ... ]}");
    }
    if (++parse->pattern_count > EL_PATTERN_COUNT_MAX) {
        return pattern_refuse_limit(parse, "more than %d patterns: use $or within one", EL_PATTERN_COUNT_MAX);
    }
    int rc = push(parse, &stack, (struct frame){.scope = set, .node = &parse->pattern->event});
    while (rc == 0 && stack.count > 0) {
        enum el_json_token token = pattern_token(parse);
        if (token == EL_JSON_TOKEN_OBJECT_END || token == EL_JSON_TOKEN_ARRAY_END) {
            rc = pop(parse, &stack);
        } else if (stack.frames[stack.count - 1].is_or) {
            rc = parse_alternative(parse, &stack);
        } else {
            EL_ASSERT(token == EL_JSON_TOKEN_KEY);
            rc = parse_member(parse, &stack);
        }
    }
    return rc;
}

static int parse_text(struct pattern_parse *parse, struct el_slice text, struct scope *set)
{
    int rc = 0;
    el_json_walk_begin(&parse->walk, text.data, text.len, EL_JSON_DEPTH_MAX);
    if (pattern_token(parse) != EL_JSON_TOKEN_ARRAY) {
        return parse_pattern(parse, set);
    }
    uint32_t count = 0;
    for (; rc == 0 && pattern_token(parse) != EL_JSON_TOKEN_ARRAY_END; count++) {
        rc = parse_pattern(parse, set);
    }
    if (rc == 0 && count == 0) {
        rc = pattern_refuse(parse, "an empty array takes no event at all: write a pattern into it");
    }
    return rc;
}

/* --- the whole -------------------------------------------------------------------------------------------------- */

/* Check the grammar and count the names. */
static int scan_text(struct pattern_parse *parse, struct el_slice text, uint32_t *name_count)
{
    if (text.len > parse->limits->text_len_max) {
        return el_error_set(parse->err, EVLOG_ERR_LIMIT, "the pattern has %zu bytes, at most %zu are allowed", text.len,
                            parse->limits->text_len_max);
    }
    el_json_walk_begin(&parse->walk, text.data, text.len, EL_JSON_DEPTH_MAX);
    do {
        if (el_json_walk_next(&parse->walk) != 0) {
            return el_json_walk_refuse(&parse->walk, parse->err);
        }
        *name_count += parse->walk.token == EL_JSON_TOKEN_KEY;
    } while (parse->walk.token != EL_JSON_TOKEN_END);
    return 0;
}

static int prepare(struct pattern_parse *parse, uint32_t name_count)
{
    uint32_t slot_count = 2;
    while (slot_count < 2 * (name_count + 1)) {
        slot_count *= 2;
    }
    struct el_pattern *pattern = el_arena_zalloc(parse->arena, sizeof *pattern);
    const size_t slots_len = slot_count * sizeof(struct pattern_node *);
    if (pattern == NULL) {
        return pattern_no_memory(parse);
    }
    pattern->slots = el_arena_zalloc(parse->arena, slots_len);
    pattern->slot_mask = slot_count - 1;
    parse->pattern = pattern;
    parse->made_last = &pattern->event;
    return pattern->slots == NULL ? pattern_no_memory(parse) : 0;
}

static void number_terms(struct el_pattern *pattern)
{
    for (struct pattern_node *node = &pattern->event; node != NULL; node = node->made_next) {
        node->child_term_first = pattern->term_count;
        for (struct pattern_node *child = node->child_list; child != NULL; child = child->sibling) {
            for (struct pattern_term *term = child->terms; term != NULL; term = term->next) {
                term->id = pattern->term_count++;
            }
        }
        node->child_term_count = pattern->term_count - node->child_term_first;
    }
}

int el_pattern_compile_any(const struct el_slice *texts, size_t count, const struct el_pattern_limits *limits,
                           struct el_arena *arena, const struct el_pattern **pattern, struct el_error *err)
{
    static const struct el_pattern_limits limits_default = EL_PATTERN_LIMITS_DEFAULT;
    struct pattern_parse parse = {.limits = limits == NULL ? &limits_default : limits, .arena = arena, .err = err};
    struct scope set = {0};
    uint32_t name_count = 0;
    int rc = 0;
    size_t i = 0;
    EL_ASSERT(count > 0);
    EL_ASSERT(count <= EL_PATTERN_COUNT_MAX);
    EL_ASSERT(parse.limits->depth_max > 0);
    EL_ASSERT(parse.limits->depth_max <= EL_PATTERN_DEPTH_MAX);
    for (; rc == 0 && i < count; i++) {
        rc = scan_text(&parse, texts[i], &name_count);
    }
    if (rc == 0) {
        rc = prepare(&parse, name_count);
        rc = rc != 0 ? rc : emit(&parse, &set, PATTERN_OR, NULL);
        for (i = 0; rc == 0 && i < count; i++) {
            rc = parse_text(&parse, texts[i], &set);
        }
    }
    rc = rc != 0 ? rc : emit(&parse, &set, PATTERN_END, NULL);
    if (rc != 0) {
        return count == 1 || rc == EVLOG_ERR_NO_MEMORY ? rc : (el_error_wrap(err, "pattern %zu", i), rc);
    }
    parse.pattern->ops = set.first;
    number_terms(parse.pattern);
    *pattern = parse.pattern;
    return 0;
}

int el_pattern_compile(const void *text, size_t len, const struct el_pattern_limits *limits, struct el_arena *arena,
                       const struct el_pattern **pattern, struct el_error *err)
{
    struct el_slice slice = el_slice_of(text, len);
    return el_pattern_compile_any(&slice, 1, limits, arena, pattern, err);
}
