/* SPDX-License-Identifier: Apache-2.0 */
#include <config/principals.h>

#include <config/value.h>
#include <core/utf8.h>
#include <evlog/error.h>

#define KIND "User:"

bool config_principal_valid(struct el_slice principal)
{
    size_t kind_len = strlen(KIND);
    return principal.len > kind_len && principal.len <= CONFIG_PRINCIPAL_MAX &&
           memcmp(principal.data, KIND, kind_len) == 0 && memchr(principal.data, 0, principal.len) == NULL &&
           el_utf8_valid(principal.data, principal.len);
}

static bool next(const char **rest, char between, struct el_slice *word)
{
    while (**rest != 0) {
        const char *end = strchrnul(*rest, between);
        *word = value_trim(el_slice_of(*rest, (size_t)(end - *rest)));
        *rest = *end == 0 ? end : end + 1;
        if (word->len > 0) {
            return true;
        }
    }
    return false;
}

bool config_principal_next(const char **rest, struct el_slice *principal)
{
    return next(rest, ';', principal);
}

bool config_word_next(const char **rest, struct el_slice *word)
{
    return next(rest, ',', word);
}

/* Does "User:" stand behind a comma? No element of a certificate's name begins so. */
static bool holds_another(struct el_slice name)
{
    const uint8_t *end = name.data + name.len, *at = name.data;
    while ((at = memchr(at, ',', (size_t)(end - at))) != NULL) {
        for (at++; at < end && *at == ' ';) {
            at++;
        }
        if ((size_t)(end - at) >= sizeof KIND - 1 && memcmp(at, KIND, sizeof KIND - 1) == 0) {
            return true;
        }
    }
    return false;
}

int config_principals_check(const char *setting, const char *list, struct el_error *err)
{
    struct el_slice name;
    uint32_t count = 0;
    for (const char *rest = list; config_principal_next(&rest, &name); count++) {
        if (!config_principal_valid(name) || el_slice_eq(name, el_slice_str(KIND "*"))) {
            return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                "%s holds '%.*s': each must be User:NAME, with semicolons between them", setting,
                                value_shown_len(name), (const char *)name.data);
        }
        if (holds_another(name)) {
            return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                "%s holds '%.*s', which is one principal: between several stand semicolons", setting,
                                value_shown_len(name), (const char *)name.data);
        }
        if (count == CONFIG_PRINCIPALS_MAX) {
            return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "%s can name at most %u", setting,
                                CONFIG_PRINCIPALS_MAX);
        }
    }
    return 0;
}
