/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers as they are written, compared by value without any loss: 100, 1e2 and 100.0 are equal, and so are no two
 * numbers that differ in their thirtieth digit. Nothing is allocated: a decimal points into its text.
 */
#ifndef EL_CORE_DECIMAL_H
#define EL_CORE_DECIMAL_H

#include <core/bytes.h>
#include <stdbool.h>

#define DECIMAL_EXPONENT_MAX 1000000000000 /* larger ones are taken for this one, behind e */
#define DECIMAL_TEXT_MAX 32                /* bytes that decimal_of_*() need at most */

/* 0.DDD times 10 to the power of exponent, where DDD begins and ends with a digit that is not 0. */
struct decimal {
    const uint8_t *first; /* borrowed; there may be a point among the digits */
    const uint8_t *end;
    int64_t exponent;
    int sign; /* -1, 0, 1 */
};

/* Read a number as JSON writes it. returns false when text is anything else; number is written on success only */
bool decimal_parse(struct el_slice text, struct decimal *number);
/* <0, 0, >0 as a is less than, equal to, greater than b. */
int decimal_compare(const struct decimal *a, const struct decimal *b);

/* Numbers in binary, written into text[DECIMAL_TEXT_MAX], which number then points into. */
void decimal_of_int(uint64_t value, bool negative, char *text, struct decimal *number);
/* With as few digits as bring the same number back, so that 0.1 is one tenth. single: the number came with single
 * precision. returns false for infinities and what is no number */
bool decimal_of_real(double value, bool single, char *text, struct decimal *number);

#endif
