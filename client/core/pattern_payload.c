/* SPDX-License-Identifier: Apache-2.0
 *
 * Walking a payload for a match, JSON or CBOR: one pass, no tree, no recursion. What is handed to the match are the
 * bytes of the payload themselves.
 *
 * The whole payload is read, also behind what was asked for: whether it can be parsed does not depend on the pattern.
 * A member that occurs twice counts like two elements of an array.
 *
 * CBOR goes beyond what evlog writes itself: floats, tags, indefinite lengths. A tag is passed over, but a number in
 * the form of an array (tags 4 and 5) is a value equal to nothing. Refused are text in pieces, keys that are arrays or
 * maps, and simple values without a meaning.
 */
#include "pattern_program.h"
#include <core/json_scan.h>

#include <core/assert.h>
#include <core/cbor.h>
#include <core/utf8.h>

#define CBOR_TAG_DECIMAL 4
#define CBOR_TAG_BIGFLOAT 5

EL_STATIC_ASSERT(PATTERN_VALUE_DEPTH_MAX >= EL_JSON_DEPTH_MAX, "the scanner stops before the levels are used up");

/* --- JSON ------------------------------------------------------------------------------------------------------- */

/* A key with escapes, decoded into name[EL_PATTERN_NAME_MAX + 4]; cut when it is longer than any name of a pattern. */
static struct el_slice unescape_name(const struct el_json_walk *walk, uint8_t *name)
{
    const uint8_t *p = walk->start + 1, *end = walk->stop - 1;
    size_t len = 0;
    while (p != end && len <= EL_PATTERN_NAME_MAX) {
        uint32_t point;
        p += el_json_scan_char(p, (size_t)(end - p), &point);
        len += el_utf8_put(point, name + len);
    }
    return el_slice_of(name, len);
}

static void give_key(struct pattern_run *run, const struct el_json_walk *walk)
{
    uint8_t name[EL_PATTERN_NAME_MAX + 4];
    struct el_slice slice = el_slice_of(walk->start + 1, (size_t)(walk->stop - walk->start - 2));
    if (walk->escaped) {
        slice = unescape_name(walk, name);
    }
    pattern_run_key(run, slice);
}

static void give_json(struct pattern_run *run, const struct el_json_walk *walk)
{
    struct pattern_value value = {.kind = PATTERN_VALUE_OTHER};
    if (run->target == NULL) {
        return;
    }
    if (walk->token == EL_JSON_TOKEN_STRING) {
        value.kind = PATTERN_VALUE_TEXT;
        value.escaped = walk->escaped;
        value.text = el_slice_of(walk->start + 1, (size_t)(walk->stop - walk->start - 2));
    } else if (walk->token == EL_JSON_TOKEN_NUMBER) {
        value.kind = PATTERN_VALUE_NUMBER;
        bool parsed = decimal_parse(el_slice_of(walk->start, (size_t)(walk->stop - walk->start)), &value.number);
        EL_ASSERT(parsed);
    } else if (walk->token == EL_JSON_TOKEN_TRUE) {
        value.kind = PATTERN_VALUE_TRUE;
    } else if (walk->token == EL_JSON_TOKEN_FALSE) {
        value.kind = PATTERN_VALUE_FALSE;
    } else {
        EL_ASSERT(walk->token == EL_JSON_TOKEN_NULL);
        value.kind = PATTERN_VALUE_NULL;
    }
    pattern_run_scalar(run, &value);
}

bool pattern_run_json(struct pattern_run *run, struct el_slice payload)
{
    struct el_json_walk walk;
    el_json_walk_begin(&walk, payload.data, payload.len, EL_JSON_DEPTH_MAX);
    run->work.done += payload.len;
    while (!pattern_run_spent(run)) {
        if (el_json_walk_next(&walk) != 0) {
            return false;
        }
        switch (walk.token) {
        case EL_JSON_TOKEN_OBJECT:
        case EL_JSON_TOKEN_ARRAY:
            pattern_run_open(run, walk.token == EL_JSON_TOKEN_OBJECT);
            break;
        case EL_JSON_TOKEN_OBJECT_END:
        case EL_JSON_TOKEN_ARRAY_END:
            pattern_run_close(run);
            break;
        case EL_JSON_TOKEN_KEY:
            give_key(run, &walk);
            break;
        case EL_JSON_TOKEN_STRING:
        case EL_JSON_TOKEN_NUMBER:
        case EL_JSON_TOKEN_TRUE:
        case EL_JSON_TOKEN_FALSE:
        case EL_JSON_TOKEN_NULL:
            give_json(run, &walk);
            break;
        case EL_JSON_TOKEN_END:
            return true;
        case EL_JSON_TOKEN_NONE:
            EL_ASSERT(false);
        }
    }
    return true;
}

/* --- CBOR ------------------------------------------------------------------------------------------------------- */

struct cbor_level {
    uint64_t left; /* items still to come, keys counted too; not used when open */
    bool open;     /* ended by a break */
    bool map;
    bool key_next;
};

struct cbor_walk {
    struct el_reader reader;
    struct pattern_run *run;
    uint32_t depth;
    struct cbor_level levels[PATTERN_VALUE_DEPTH_MAX];
};

static bool is_container(const struct el_cbor_item *item)
{
    return item->type == EL_CBOR_ARRAY || item->type == EL_CBOR_MAP;
}

static bool is_string(const struct el_cbor_item *item)
{
    return item->type == EL_CBOR_TEXT || item->type == EL_CBOR_BYTES;
}

static bool open_level(struct cbor_walk *walk, const struct el_cbor_item *item)
{
    bool map = item->type == EL_CBOR_MAP;
    if (walk->depth == PATTERN_VALUE_DEPTH_MAX) {
        return false;
    }
    pattern_run_open(walk->run, map);
    walk->levels[walk->depth++] = (struct cbor_level){
        .left = map ? 2 * item->value : item->value, .open = item->open, .map = map, .key_next = map};
    return true;
}

static void give_cbor(struct pattern_run *run, const struct el_cbor_item *item)
{
    char digits[DECIMAL_TEXT_MAX];
    struct pattern_value value = {.kind = PATTERN_VALUE_OTHER};
    if (run->target == NULL) {
        return;
    }
    switch (item->type) {
    case EL_CBOR_UINT:
        value.kind = PATTERN_VALUE_NUMBER;
        decimal_of_int(item->value, false, digits, &value.number);
        break;
    case EL_CBOR_NINT: /* -1 - value; the lowest one of all is past 64 bits */
        value.kind = PATTERN_VALUE_NUMBER;
        if (item->value == UINT64_MAX) {
            (void)decimal_parse(el_slice_str("-18446744073709551616"), &value.number);
        } else {
            decimal_of_int(item->value + 1, true, digits, &value.number);
        }
        break;
    case EL_CBOR_REAL:
        if (decimal_of_real(item->real, item->single, digits, &value.number)) {
            value.kind = PATTERN_VALUE_NUMBER;
        }
        break;
    case EL_CBOR_TEXT:
        value.kind = PATTERN_VALUE_TEXT;
        value.text = item->data;
        break;
    case EL_CBOR_BOOL:
        value.kind = item->value != 0 ? PATTERN_VALUE_TRUE : PATTERN_VALUE_FALSE;
        break;
    case EL_CBOR_NULL:
        value.kind = PATTERN_VALUE_NULL;
        break;
    case EL_CBOR_BYTES:
    case EL_CBOR_OTHER:
    case EL_CBOR_ARRAY: /* a number in this form, passed over */
        break;
    case EL_CBOR_MAP:
    case EL_CBOR_TAG:
    case EL_CBOR_BREAK:
        EL_ASSERT(false);
    }
    pattern_run_scalar(run, &value);
}

/* The item is a key, or belongs to one. */
static bool take_key(struct cbor_walk *walk, struct cbor_level *level, const struct el_cbor_item *item)
{
    if (is_container(item)) {
        return false;
    }
    level->key_next = false;
    walk->run->target = NULL; /* keys that are no text are nobody's */
    if (item->type == EL_CBOR_TEXT) {
        pattern_run_key(walk->run, item->data);
    }
    return true;
}

/* A break, or the last item, has ended the innermost level. */
static void close_level(struct cbor_walk *walk)
{
    EL_ASSERT(walk->depth > 0);
    pattern_run_close(walk->run);
    walk->depth--;
}

/* One value, or one key; array_is_number: a tag in front of it says so. */
static bool take_item(struct cbor_walk *walk, const struct el_cbor_item *item, bool array_is_number)
{
    struct cbor_level *level = walk->depth == 0 ? NULL : &walk->levels[walk->depth - 1];
    if (is_string(item) && item->open) {
        return false;
    }
    if (item->type == EL_CBOR_TEXT && !el_utf8_valid(item->data.data, item->data.len)) {
        return false;
    }
    if (level != NULL && !level->open) {
        EL_ASSERT(level->left > 0);
        level->left--;
    }
    if (level != NULL && level->map && level->key_next) {
        return take_key(walk, level, item);
    }
    if (level != NULL) {
        level->key_next = level->map;
    }
    if (item->type == EL_CBOR_ARRAY && array_is_number) {
        give_cbor(walk->run, item);
        for (uint64_t i = 0; i < item->value; i++) {
            if (el_cbor_skip(&walk->reader, EL_CBOR_DEPTH_MAX) != 0) {
                return false;
            }
        }
        return !item->open;
    }
    if (is_container(item)) {
        return open_level(walk, item);
    }
    give_cbor(walk->run, item);
    return true;
}

bool pattern_run_cbor(struct pattern_run *run, struct el_slice payload)
{
    struct cbor_walk walk;
    bool tagged = false, array_is_number = false;
    el_reader_init(&walk.reader, payload.data, payload.len);
    walk.run = run;
    walk.depth = 0;
    run->work.done += payload.len;
    do {
        struct el_cbor_item item;
        if (el_cbor_read_any(&walk.reader, &item) != 0) {
            return false;
        }
        if (item.type == EL_CBOR_TAG) {
            tagged = true;
            array_is_number = item.value == CBOR_TAG_DECIMAL || item.value == CBOR_TAG_BIGFLOAT;
            continue;
        }
        struct cbor_level *level = walk.depth == 0 ? NULL : &walk.levels[walk.depth - 1];
        if (item.type == EL_CBOR_BREAK) {
            if (tagged || level == NULL || !level->open || level->key_next != level->map) {
                return false;
            }
            close_level(&walk);
        } else if (!take_item(&walk, &item, array_is_number)) {
            return false;
        }
        tagged = array_is_number = false;
        while (walk.depth > 0 && !walk.levels[walk.depth - 1].open && walk.levels[walk.depth - 1].left == 0) {
            close_level(&walk);
        }
    } while ((walk.depth > 0 || tagged) && !pattern_run_spent(run));
    return pattern_run_spent(run) || el_reader_left(&walk.reader) == 0;
}
