/* SPDX-License-Identifier: Apache-2.0
 *
 * Small parsers shared by evlogd's settings and those of topics. Pure, any thread. Numbers are summed up as negative
 * ones, so that the smallest fits; every step checks for overflow, and an out parameter is written only on success.
 */
#include <config/value.h>

#include <core/nearest.h>

#include <stdio.h>
#include <strings.h>

#define SHOWN_LEN_MAX 64

struct el_slice value_trim(struct el_slice text)
{
    while (text.len > 0 && strchr(" \t\r", text.data[0]) != NULL && text.data[0] != 0) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && strchr(" \t\r", text.data[text.len - 1]) != NULL && text.data[text.len - 1] != 0) {
        text.len--;
    }
    return text;
}

bool value_int(struct el_slice text, int64_t *value)
{
    text = value_trim(text);
    bool negative = text.len > 0 && text.data[0] == '-';
    size_t i = text.len > 0 && (text.data[0] == '-' || text.data[0] == '+') ? 1 : 0;
    int64_t sum = 0;
    if (i == text.len) {
        return false;
    }
    for (; i < text.len; i++) {
        int digit = text.data[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_sub_overflow(sum, digit, &sum)) {
            return false;
        }
    }
    if (!negative && sum == INT64_MIN) {
        return false;
    }
    *value = negative ? sum : -sum;
    return true;
}

bool value_millionths(struct el_slice text, int64_t *value)
{
    text = value_trim(text);
    const uint8_t *point = text.len == 0 ? NULL : memchr(text.data, '.', text.len);
    struct el_slice whole = point == NULL ? text : el_slice_of(text.data, (size_t)(point - text.data));
    int64_t sum = 0, scale = 1000000;
    if (!value_int(whole, &sum) || __builtin_mul_overflow(sum, scale, &sum)) {
        return false;
    }
    bool negative = text.data[0] == '-';
    for (const uint8_t *p = point == NULL ? NULL : point + 1; p != NULL && p < text.data + text.len; p++) {
        scale /= 10;
        int digit = *p - '0';
        int64_t part = (negative ? -digit : digit) * scale;
        if (digit < 0 || digit > 9 || scale == 0 || __builtin_add_overflow(sum, part, &sum)) {
            return false;
        }
    }
    *value = sum;
    return true;
}

bool value_bool(struct el_slice text, bool *value)
{
    text = value_trim(text);
    bool is_true = text.len == 4 && strncasecmp((const char *)text.data, "true", 4) == 0;
    bool is_false = text.len == 5 && strncasecmp((const char *)text.data, "false", 5) == 0;
    if (is_true || is_false) {
        *value = is_true;
    }
    return is_true || is_false;
}

bool value_ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

int value_choice(const char *choices, struct el_slice word)
{
    int index = 0;
    for (const char *p = choices; *p != 0; index++) {
        size_t len = strcspn(p, "|");
        if (el_slice_eq(word, el_slice_of(p, len))) {
            return index;
        }
        p += len + (p[len] == '|' ? 1 : 0);
    }
    return -1;
}

const char *value_choice_name(const char *choices, int64_t index, char *text, size_t text_max)
{
    const char *p = choices;
    for (int64_t i = 0; i < index && *p != 0; i++) {
        size_t len = strcspn(p, "|");
        p += len + (p[len] == '|' ? 1 : 0);
    }
    snprintf(text, text_max, "%.*s", (int)strcspn(p, "|"), p);
    return text;
}

const char *value_nearest_text(struct el_slice wanted, const char *const *words, size_t count, char *text,
                               size_t text_max)
{
    char word[SHOWN_LEN_MAX];
    text[0] = 0;
    if (wanted.len == 0 || wanted.len >= sizeof word || memchr(wanted.data, 0, wanted.len) != NULL) {
        return text;
    }
    memcpy(word, wanted.data, wanted.len);
    word[wanted.len] = 0;
    const char *nearest = el_nearest(word, words, count);
    if (nearest != NULL) {
        snprintf(text, text_max, "; did you mean '%s'?", nearest);
    }
    return text;
}

int value_shown_len(struct el_slice text)
{
    int len = 0;
    while ((size_t)len < text.len && len < SHOWN_LEN_MAX && text.data[len] >= 0x20 && text.data[len] != 0x7f) {
        len++;
    }
    return len;
}
