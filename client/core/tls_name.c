/* SPDX-License-Identifier: Apache-2.0
 *
 * Distinguished names as text. Bytes in, bytes out; any thread.
 *
 * Who a client is hangs on this text, so a name that two readers could read in two ways is refused: elements with
 * several values, encodings whose characters depend on who reads them, control characters, lengths that are not the
 * shortest. What has a meaning in the text itself is escaped; so different names have different texts.
 *
 * Source: ITU-T X.690 (DER); RFC 2253 (text), with the short names that Java's X500Principal has.
 */
#include <core/tls.h>
#include <core/utf8.h>

#include <stdio.h>

#define TAG_SEQUENCE 0x30
#define TAG_SET 0x31
#define TAG_OID 0x06
#define TAG_UTF8 0x0c
#define TAG_PRINTABLE 0x13
#define TAG_IA5 0x16
#define ELEMENTS_MAX 32

struct out {
    char *text;
    size_t len;
    size_t max;
    bool full;
};

/* Short names of RFC 2253, by the content of their OID. */
static const struct {
    uint8_t oid[10];
    uint8_t len;
    const char *name;
} short_names[] = {
    {{0x55, 4, 3}, 3, "CN"},
    {{0x55, 4, 6}, 3, "C"},
    {{0x55, 4, 7}, 3, "L"},
    {{0x55, 4, 8}, 3, "ST"},
    {{0x55, 4, 9}, 3, "STREET"},
    {{0x55, 4, 10}, 3, "O"},
    {{0x55, 4, 11}, 3, "OU"},
    {{0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1}, 10, "UID"},
    {{0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25}, 10, "DC"},
};

/* Take one element from the front of in; lengths in their shortest form. */
static bool take(struct el_slice *in, uint8_t *tag, struct el_slice *content)
{
    if (in->len < 2) {
        return false;
    }
    size_t head = 2, len = in->data[1];
    if (len > 0x80 && len <= 0x82) {
        size_t more = len - 0x80;
        if (in->len < 2 + more) {
            return false;
        }
        len = more == 1 ? in->data[2] : el_get_be16(in->data + 2);
        head += more;
        if (len < (more == 1 ? 0x80u : 0x100u)) {
            return false;
        }
    } else if (len >= 0x80) {
        return false;
    }
    if (len > in->len - head) {
        return false;
    }
    *tag = in->data[0];
    *content = el_slice_of(in->data + head, len);
    *in = el_slice_of(in->data + head + len, in->len - head - len);
    return true;
}

static void put(struct out *out, const char *text, size_t len)
{
    if (out->full || len >= out->max - out->len) {
        out->full = true;
        return;
    }
    memcpy(out->text + out->len, text, len);
    out->len += len;
    out->text[out->len] = 0;
}

/* 1.2.840 of its base 128 digits. */
static bool put_numbers(struct out *out, struct el_slice oid)
{
    uint64_t value = 0;
    bool first = true, open = false;
    for (size_t i = 0; i < oid.len; i++) {
        char digits[48];
        if ((!open && oid.data[i] == 0x80) || value > UINT32_MAX) {
            return false;
        }
        value = value << 7 | (oid.data[i] & 0x7f);
        open = (oid.data[i] & 0x80) != 0;
        if (open) {
            continue;
        }
        uint64_t top = value < 40 ? 0 : value < 80 ? 1 : 2;
        int len = first ? snprintf(digits, sizeof digits, "%llu.%llu", (unsigned long long)top,
                                   (unsigned long long)(value - 40 * top))
                        : snprintf(digits, sizeof digits, ".%llu", (unsigned long long)value);
        put(out, digits, (size_t)len);
        value = 0;
        first = false;
    }
    return oid.len > 0 && !open;
}

static bool put_type(struct out *out, struct el_slice oid)
{
    for (size_t i = 0; i < sizeof short_names / sizeof short_names[0]; i++) {
        if (el_slice_eq(oid, el_slice_of(short_names[i].oid, short_names[i].len))) {
            put(out, short_names[i].name, strlen(short_names[i].name));
            return true;
        }
    }
    return put_numbers(out, oid);
}

/* The characters with a meaning of their own get a backslash. */
static int put_value(struct out *out, uint8_t tag, struct el_slice value)
{
    if (tag != TAG_UTF8 && tag != TAG_PRINTABLE && tag != TAG_IA5) {
        return EVLOG_ERR_POLICY;
    }
    for (size_t i = 0; i < value.len;) {
        uint32_t point = 0;
        size_t len = el_utf8_next(value.data + i, value.len - i, &point);
        if (len == 0 || point < 0x20 || (point >= 0x7f && point < 0xa0) || (tag != TAG_UTF8 && len > 1)) {
            return EVLOG_ERR_POLICY;
        }
        bool at_end = i == 0 || i + len == value.len;
        if (strchr(",+\"\\<>;=", (int)(point & 0x7f)) != NULL && point < 0x80) {
            put(out, "\\", 1);
        } else if ((point == ' ' && at_end) || (point == '#' && i == 0)) {
            put(out, "\\", 1);
        }
        put(out, (const char *)value.data + i, len);
        i += len;
    }
    return value.len == 0 ? EVLOG_ERR_POLICY : 0;
}

/* One element of the name: a set with one pair of type and value. */
static int put_element(struct out *out, struct el_slice set)
{
    uint8_t tag = 0;
    struct el_slice pair, oid, value;
    if (!take(&set, &tag, &pair) || tag != TAG_SEQUENCE) {
        return EVLOG_ERR_MALFORMED;
    }
    if (set.len > 0) {
        return EVLOG_ERR_POLICY;
    }
    if (!take(&pair, &tag, &oid) || tag != TAG_OID || !put_type(out, oid) || !take(&pair, &tag, &value) ||
        pair.len > 0) {
        return EVLOG_ERR_MALFORMED;
    }
    put(out, "=", 1);
    return put_value(out, tag, value);
}

int el_tls_name_text(struct el_slice der, char *text, size_t text_max)
{
    struct out out = {.text = text, .max = text_max};
    struct el_slice sets[ELEMENTS_MAX], name;
    size_t count = 0;
    uint8_t tag = 0;
    if (text_max == 0) {
        return EVLOG_ERR_LIMIT;
    }
    text[0] = 0;
    if (!take(&der, &tag, &name) || tag != TAG_SEQUENCE || der.len > 0) {
        return EVLOG_ERR_MALFORMED;
    }
    while (name.len > 0) {
        if (count == ELEMENTS_MAX) {
            return EVLOG_ERR_LIMIT;
        }
        if (!take(&name, &tag, &sets[count++]) || tag != TAG_SET) {
            return EVLOG_ERR_MALFORMED;
        }
    }
    for (size_t i = count; i > 0; i--) {
        int rc = put_element(&out, sets[i - 1]);
        if (rc != 0) {
            return rc;
        }
        put(&out, ",", i > 1 ? 1 : 0);
    }
    return out.full ? EVLOG_ERR_LIMIT : count == 0 ? EVLOG_ERR_POLICY : 0;
}
