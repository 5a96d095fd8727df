/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings of topics and work groups as people write them: with the units of evlogd.conf, which requests do not have.
 */
#ifndef EL_TOOLS_SETTING_WORDS_H
#define EL_TOOLS_SETTING_WORDS_H

#define SETTING_NUMBER_MAX 24u

/* A value as requests have it: a duration such as 7d becomes milliseconds where the name ends in ".ms", a size such as
 * 64MiB bytes where it ends in ".bytes". Anything else is left to the broker to judge.
 *
 * value    NULL (the default) stays that
 * returns  number, or value
 */
const char *setting_plain(const char *name, const char *value, char number[SETTING_NUMBER_MAX]);
/* What a setting of this name takes besides plain numbers, as a remedy; "" when it takes nothing else. */
const char *setting_units(const char *name);

#endif
