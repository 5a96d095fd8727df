/* SPDX-License-Identifier: Apache-2.0 */
#include <core/nearest.h>

#include <core/bytes.h>

#define WORD_LEN_MAX 63 /* longer words are not compared */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    return EL_MIN(EL_MIN(a, b), c);
}

/* Optimal string alignment distance, with three rows of the table. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][WORD_LEN_MAX + 1];
    for (size_t j = 0; j <= b_len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t cost = lower(a[i - 1]) != lower(b[j - 1]);
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + cost);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1])) {
                row[j] = EL_MIN(row[j], above2[j - 2] + 1);
            }
        }
    }
    return rows[a_len % 3][b_len];
}

const char *el_nearest(const char *word, const char *const *words, size_t count)
{
    size_t len = strlen(word);
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;
    for (size_t i = 0; i < count && len <= WORD_LEN_MAX; i++) {
        size_t other_len = words[i] == NULL ? SIZE_MAX : strlen(words[i]);
        if (other_len > WORD_LEN_MAX) {
            continue;
        }
        size_t d = distance(word, len, words[i], other_len);
        if (d < best_distance && d <= EL_MAX(other_len, len) / 3 + (EL_MAX(other_len, len) < 3)) {
            best = words[i];
            best_distance = d;
        }
    }
    return best;
}
