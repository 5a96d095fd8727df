/* SPDX-License-Identifier: Apache-2.0
 *
 * Values as people and tools write them: strict, the whole text or nothing. Blanks around are ignored. Pure functions.
 */
#ifndef EL_CONFIG_VALUE_H
#define EL_CONFIG_VALUE_H

#include <core/bytes.h>
#include <stdbool.h>

/* Without blanks (space, tab, CR) at both ends. */
struct el_slice value_trim(struct el_slice text);
/* Optional sign and decimal digits. returns false when it is anything else or does not fit */
bool value_int(struct el_slice text, int64_t *value);
/* A number such as 0.5 or -1, with at most six digits after the point, times 1,000,000. */
bool value_millionths(struct el_slice text, int64_t *value);
/* true, false; any case. */
bool value_bool(struct el_slice text, bool *value);
bool value_ends_with(const char *text, const char *end);
/* Index of a word in "a|b|c", -1 when it is none of them. Case sensitive. */
int value_choice(const char *choices, struct el_slice word);
/* The word with that index, into text[text_max]; "" when there is none. returns text */
const char *value_choice_name(const char *choices, int64_t index, char *text, size_t text_max);
/* "; did you mean 'x'?" with the nearest of words[count], or "", into text[text_max]; returns text. */
const char *value_nearest_text(struct el_slice wanted, const char *const *words, size_t count, char *text,
                               size_t text_max);
/* Bytes of text that may appear in a message: at most 64, cut at the first control character. For "%.*s". */
int value_shown_len(struct el_slice text);

#endif
