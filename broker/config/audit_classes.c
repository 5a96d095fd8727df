/* SPDX-License-Identifier: Apache-2.0 */
#include <config/audit_classes.h>

#include <config/principals.h>
#include <config/value.h>
#include <evlog/error.h>

static const char *const words[CONFIG_AUDIT_CLASS_COUNT] = {"changes", "denials", "authentication", "access", "faults"};

const char *config_audit_word(int class)
{
    return words[class];
}

static int class_of(struct el_slice word)
{
    int class = 0;
    while (class < CONFIG_AUDIT_CLASS_COUNT && !el_slice_eq(word, el_slice_str(words[class]))) {
        class ++;
    }
    return class;
}

int config_audit_classes(const char *list, uint32_t *classes, struct el_error *err)
{
    struct el_slice word;
    uint32_t set = 0, count = 0;
    bool none = false;
    for (const char *rest = list; config_word_next(&rest, &word); count++) {
        int class = class_of(word);
        bool is_none = el_slice_eq(word, el_slice_str("none"));
        if (class == CONFIG_AUDIT_CLASS_COUNT && !is_none) {
            return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                "evlog.audit.include holds '%.*s': known are changes, denials, authentication, access "
                                "and faults, or none alone",
                                value_shown_len(word), (const char *)word.data);
        }
        none = none || is_none;
        set |= is_none ? 0 : 1u << class;
    }
    if (count == 0 || (none && count > 1)) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                            "evlog.audit.include is %s: write what to keep, or none alone to keep nothing",
                            count == 0 ? "empty" : "none and more");
    }
    *classes = set;
    return 0;
}
