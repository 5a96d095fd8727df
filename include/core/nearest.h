/* SPDX-License-Identifier: Apache-2.0
 *
 * "Did you mean": the known word nearest to a mistyped one. Pure function; any thread.
 */
#ifndef EL_CORE_NEAREST_H
#define EL_CORE_NEAREST_H

#include <stddef.h>

/* The word of words[count] with the fewest insertions, deletions, replacements and swaps of neighbours; NULL when none
 * is near enough (a third of its letters) to be worth naming. Case is ignored; NULL words are skipped. */
const char *el_nearest(const char *word, const char *const *words, size_t count);

#endif
