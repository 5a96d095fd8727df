/* SPDX-License-Identifier: Apache-2.0
 *
 * Mapping rules, compiled once and applied at each handshake with a certificate. Pure functions, any thread.
 *
 * A pattern is a row of nodes without alternatives, so a match is a walk with one frame for each repeated node: the
 * walk goes on or the last frame gives one repetition back (or, lazy, takes one more). It is given up after
 * STEPS_MAX, since patterns can be written that take for ever.
 *
 * Source: Kafka's documentation of ssl.principal.mapping.rules.
 */
#include <config/principal_rules.h>
#include <config/value.h>
#include <core/alloc.h>
#include <core/assert.h>
#include <core/tls.h>

#include <ctype.h>

#define RULES_MAX 16
#define NODES_MAX 128
#define GROUPS_MAX 10 /* $0 is not used */
#define STEPS_MAX 100000u
#define REPLACEMENT_MAX 256
#define SHOWN_MAX 60
#define SUBJECT_TEXT_MAX 512

enum node_kind { NODE_BYTES, NODE_OPEN, NODE_CLOSE, NODE_START, NODE_END };

struct node {
    enum node_kind kind;
    uint8_t group;
    uint8_t min;      /* NODE_BYTES: repetitions */
    bool many;        /* no upper bound; else one */
    bool lazy;        /* as few as possible */
    uint32_t bits[8]; /* NODE_BYTES: which bytes */
};

struct rule {
    bool whole; /* DEFAULT */
    char fold;  /* 'L', 'U' or 0 */
    uint8_t group_count;
    uint32_t node_count;
    struct node nodes[NODES_MAX];
    char replacement[REPLACEMENT_MAX];
};

struct principal_rules {
    bool uri; /* the name is the certificate's URI */
    uint32_t count;
    struct rule rules[RULES_MAX];
};

/* --- parsing ------------------------------------------------------------------------------------------------------ */

static int refuse(const char *at, const char *why, struct el_error *err)
{
    return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "ssl.principal.mapping.rules: '%.*s': %s", SHOWN_MAX, at, why);
}

static void bit_set(uint32_t bits[8], uint8_t byte)
{
    bits[byte / 32] |= 1u << byte % 32;
}

static bool bit_get(const uint32_t bits[8], uint8_t byte)
{
    return (bits[byte / 32] >> byte % 32 & 1) != 0;
}

static void bits_invert(uint32_t bits[8])
{
    for (int i = 0; i < 8; i++) {
        bits[i] = ~bits[i];
    }
}

/* What stands behind a backslash: a class of bytes, or a sign for itself. returns false when it is neither */
static bool take_escape(char c, uint32_t bits[8])
{
    if (c != 'd' && c != 'w' && c != 's') {
        bit_set(bits, (uint8_t)c);
        return c != 0 && !isalnum((unsigned char)c);
    }
    for (int byte = 0; byte < 128; byte++) {
        bool in = c == 'd' ? isdigit(byte) : c == 's' ? isspace(byte) : isalnum(byte) || byte == '_';
        if (in) {
            bit_set(bits, (uint8_t)byte);
        }
    }
    return true;
}

/* "[^a-z.]", *p behind the '['. returns false when it does not end or is empty */
static bool take_set(const char **p, const char *end, uint32_t bits[8])
{
    const char *at = *p;
    bool invert = at < end && *at == '^';
    at += invert;
    for (const char *first = at; at < end && (*at != ']' || at == first);) {
        if (*at == '\\') {
            if (at + 1 >= end || !take_escape(at[1], bits)) {
                return false;
            }
            at += 2;
        } else if (at + 2 < end && at[1] == '-' && at[2] != ']') {
            for (int byte = (uint8_t)at[0]; byte <= (uint8_t)at[2]; byte++) {
                bit_set(bits, (uint8_t)byte);
            }
            if ((uint8_t)at[0] > (uint8_t)at[2]) {
                return false;
            }
            at += 3;
        } else {
            bit_set(bits, (uint8_t)*at++);
        }
    }
    if (invert) {
        bits_invert(bits);
    }
    *p = at + 1;
    return at < end;
}

static void take_repeat(const char **p, const char *end, struct node *node)
{
    node->min = 1;
    if (*p < end && strchr("*+?", **p) != NULL) {
        node->min = **p == '+';
        node->many = **p != '?';
        (*p)++;
        node->lazy = *p < end && **p == '?';
        *p += node->lazy;
    }
}

/* One node from the pattern. returns NULL, or what is wrong */
static const char *take_node(struct rule *rule, const char **p, const char *end, uint8_t *open)
{
    struct node *node = &rule->nodes[rule->node_count];
    char c = *(*p)++;
    *node = (struct node){.kind = NODE_BYTES};
    switch (c) {
    case '(':
        if (*open != 0 || rule->group_count + 1 == GROUPS_MAX || (*p < end && **p == '?')) {
            return "groups stand side by side, nine at most, and none is of Java's special kinds";
        }
        node->kind = NODE_OPEN;
        node->group = *open = ++rule->group_count;
        return NULL;
    case ')':
        if (*open == 0 || (*p < end && strchr("*+?{", **p) != NULL)) {
            return "a group is not closed once, or is repeated, which it cannot be here";
        }
        node->kind = NODE_CLOSE;
        node->group = *open;
        *open = 0;
        return NULL;
    case '^':
        node->kind = NODE_START;
        return NULL;
    case '$':
        node->kind = NODE_END;
        return NULL;
    case '|':
    case '{':
    case '*':
    case '+':
    case '?':
        return "alternatives, counts and repeated repeats are not known here: write several rules";
    case '.':
        bits_invert(node->bits);
        break;
    case '[':
        if (!take_set(p, end, node->bits)) {
            return "a set that is not closed, or whose ranges run backwards";
        }
        break;
    case '\\':
        if (*p == end || !take_escape(*(*p)++, node->bits)) {
            return "of the letters behind a backslash only d, w and s are known here";
        }
        break;
    default:
        bit_set(node->bits, (uint8_t)c);
        break;
    }
    take_repeat(p, end, node);
    return NULL;
}

/* The end of a part: the next slash that has no backslash before it; NULL without one. */
static const char *part_end(const char *p)
{
    while (*p != 0 && *p != '/') {
        p += *p == '\\' && p[1] != 0 ? 2 : 1;
    }
    return *p == '/' ? p : NULL;
}

static int take_pattern(struct rule *rule, const char *p, const char *end, struct el_error *err)
{
    uint8_t open = 0;
    while (p < end) {
        const char *at = p;
        const char *wrong = rule->node_count == NODES_MAX ? "the pattern is too long" : take_node(rule, &p, end, &open);
        if (wrong != NULL) {
            return refuse(at, wrong, err);
        }
        rule->node_count++;
    }
    return open == 0 ? 0 : refuse(end, "a group is not closed", err);
}

static int take_replacement(struct rule *rule, const char *p, const char *end, struct el_error *err)
{
    size_t len = 0;
    for (const char *at = p; at < end; at++) {
        bool group = *at == '$' && at + 1 < end && isdigit((unsigned char)at[1]);
        if (*at == '$' && (!group || at[1] == '0' || at[1] - '0' > rule->group_count)) {
            return refuse(at, "$ names a group of the pattern, $1 to $9", err);
        }
        if (*at == '\\' || (*at < ' ' && *at > 0)) {
            return refuse(at, "a replacement has neither backslashes nor control characters", err);
        }
        if (len + 1 == REPLACEMENT_MAX) {
            return refuse(p, "the replacement is too long", err);
        }
        rule->replacement[len++] = *at;
    }
    rule->replacement[len] = 0;
    return 0;
}

static int take_rule(struct rule *rule, const char **p, struct el_error *err)
{
    const char *start = *p;
    if (strncmp(start, "DEFAULT", 7) == 0) {
        rule->whole = true;
        *p += 7;
        return 0;
    }
    const char *pattern = start + 5;
    const char *middle = strncmp(start, "RULE:", 5) == 0 ? part_end(pattern) : NULL;
    const char *end = middle == NULL ? NULL : part_end(middle + 1);
    if (end == NULL) {
        return refuse(start, "a rule is RULE:pattern/replacement/, RULE:pattern/replacement/L, .../U, or DEFAULT", err);
    }
    int error = take_pattern(rule, pattern, middle, err);
    error = error != 0 ? error : take_replacement(rule, middle + 1, end, err);
    *p = end + 1;
    if (**p == 'L' || **p == 'U') {
        rule->fold = *(*p)++;
    }
    return error;
}

static const char *skip_blanks(const char *p)
{
    while (*p == ' ' || *p == '\t') {
        p++;
    }
    return p;
}

static int take_rules(const char *text, struct principal_rules *rules, struct el_error *err)
{
    const char *p = skip_blanks(text);
    int error = 0;
    bool more = true;
    while (error == 0 && more) {
        if (rules->count == RULES_MAX) {
            return refuse(p, "too many rules", err);
        }
        error = take_rule(&rules->rules[rules->count++], &p, err);
        p = skip_blanks(p);
        more = *p == ',';
        p = more ? skip_blanks(p + 1) : p;
    }
    return error != 0 || *p == 0 ? error : refuse(p, "a comma is expected between two rules", err);
}

int principal_rules_parse(const char *text, struct principal_rules **rules, struct el_error *err)
{
    struct principal_rules *made = el_calloc(1, sizeof *made);
    if (made == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for ssl.principal.mapping.rules");
    }
    int error = take_rules(*skip_blanks(text) == 0 ? "DEFAULT" : text, made, err);
    if (error != 0) {
        el_free(made);
        return error;
    }
    *rules = made;
    return 0;
}

void principal_rules_free(struct principal_rules *rules)
{
    el_free(rules);
}

/* --- matching ----------------------------------------------------------------------------------------------------- */

struct match {
    const char *text;
    size_t len;
    size_t starts[GROUPS_MAX], ends[GROUPS_MAX];
    uint32_t steps;
};

/* A repeated node that was passed. */
struct frame {
    uint32_t node;
    size_t pos;   /* where it began */
    size_t count; /* repetitions that it has */
    size_t most;  /* it could have */
};

/* How often a node's bytes are there. */
static size_t run_of(const struct node *node, const struct match *m, size_t pos)
{
    size_t count = 0;
    while (pos + count < m->len && (node->many || count < 1) && bit_get(node->bits, (uint8_t)m->text[pos + count])) {
        count++;
    }
    return count;
}

/* Another number of repetitions for the last frame that has one. returns false when there is none */
static bool back(const struct rule *rule, struct frame *frames, uint32_t *frame_count, uint32_t *next, size_t *pos)
{
    while (*frame_count > 0) {
        struct frame *frame = &frames[*frame_count - 1];
        const struct node *node = &rule->nodes[frame->node];
        if (node->lazy ? frame->count < frame->most : frame->count > node->min) {
            frame->count = node->lazy ? frame->count + 1 : frame->count - 1;
            *next = frame->node + 1;
            *pos = frame->pos + frame->count;
            return true;
        }
        (*frame_count)--;
    }
    return false;
}

/* returns 0 | EVLOG_ERR_NOT_FOUND | EVLOG_ERR_LIMIT */
static int match(const struct rule *rule, struct match *m)
{
    struct frame frames[NODES_MAX];
    uint32_t frame_count = 0, next = 0;
    size_t pos = 0;
    for (m->steps = 0; m->steps < STEPS_MAX; m->steps++) {
        bool fits = true;
        if (next == rule->node_count) {
            if (pos == m->len) {
                return 0;
            }
            fits = false;
        } else {
            const struct node *node = &rule->nodes[next];
            size_t most = 0;
            switch (node->kind) {
            case NODE_OPEN:
                m->starts[node->group] = pos;
                break;
            case NODE_CLOSE:
                m->ends[node->group] = pos;
                break;
            case NODE_START:
                fits = pos == 0;
                break;
            case NODE_END:
                fits = pos == m->len;
                break;
            case NODE_BYTES:
                most = run_of(node, m, pos);
                fits = most >= node->min;
                if (fits) {
                    size_t count = node->lazy ? node->min : most;
                    frames[frame_count++] = (struct frame){next, pos, count, most};
                    pos += count;
                }
                break;
            }
            next++;
        }
        if (!fits && !back(rule, frames, &frame_count, &next, &pos)) {
            return EVLOG_ERR_NOT_FOUND;
        }
    }
    return EVLOG_ERR_LIMIT;
}

/* --- applying ----------------------------------------------------------------------------------------------------- */

struct text {
    char *at;
    size_t len, max;
    bool full;
};

static void put(struct text *out, const char *text, size_t len, char fold)
{
    if (out->full || len >= out->max - out->len) {
        out->full = true;
        return;
    }
    for (size_t i = 0; i < len; i++) {
        int c = (unsigned char)text[i];
        out->at[out->len++] = (char)(fold == 'L' && c < 128 ? tolower(c) : fold == 'U' && c < 128 ? toupper(c) : c);
    }
    out->at[out->len] = 0;
}

static int put_mapped(const struct rule *rule, const struct match *m, struct text *out)
{
    size_t before = out->len;
    for (const char *p = rule->replacement; *p != 0; p++) {
        if (*p == '$' && isdigit((unsigned char)p[1])) {
            int group = *++p - '0';
            EL_ASSERT(group <= rule->group_count);
            put(out, m->text + m->starts[group], m->ends[group] - m->starts[group], rule->fold);
        } else {
            put(out, p, 1, rule->fold);
        }
    }
    return out->full ? EVLOG_ERR_LIMIT : out->len == before ? EVLOG_ERR_NOT_FOUND : 0;
}

int principal_rules_apply(const struct principal_rules *rules, const char *name, char *principal, size_t principal_max)
{
    struct text out = {.at = principal, .max = principal_max};
    EL_ASSERT(principal_max > 0);
    put(&out, "User:", 5, 0);
    for (uint32_t i = 0; rules != NULL && i < rules->count; i++) {
        const struct rule *rule = &rules->rules[i];
        struct match m = {.text = name, .len = strlen(name)};
        int rc = rule->whole ? 0 : match(rule, &m);
        if (rc == 0 && !rule->whole) {
            return put_mapped(rule, &m, &out);
        }
        if (rc == 0) {
            put(&out, name, m.len, 0);
            return out.full ? EVLOG_ERR_LIMIT : 0;
        }
        if (rc != EVLOG_ERR_NOT_FOUND) {
            return rc;
        }
    }
    if (rules == NULL) {
        put(&out, name, strlen(name), 0);
        return out.full ? EVLOG_ERR_LIMIT : 0;
    }
    return EVLOG_ERR_NOT_FOUND;
}

void principal_rules_take_uri(struct principal_rules *rules, bool uri)
{
    rules->uri = uri;
}

static int name_of_subject(struct el_slice subject, char name[SUBJECT_TEXT_MAX], struct principal_refusal *refusal)
{
    int rc = el_tls_name_text(subject, name, SUBJECT_TEXT_MAX);
    if (rc != 0) {
        *refusal = rc == EVLOG_ERR_LIMIT
                       ? (struct principal_refusal){"the name in its certificate is too long", "name_too_long"}
                       : (struct principal_refusal){"the name in its certificate has more than one reading",
                                                    "name_ambiguous"};
    }
    return rc;
}

/* Of several nobody can say which is meant. What cannot be seen, and a byte above 126, is in no URI (RFC 3986). */
static int name_of_uri(const struct principal_names *names, char name[SUBJECT_TEXT_MAX],
                       struct principal_refusal *refusal)
{
    if (names->uri_count == 0) {
        *refusal = (struct principal_refusal){"its certificate has no URI, which evlog.ssl.principal.from asks for",
                                              "name_unmapped"};
        return EVLOG_ERR_NOT_FOUND;
    }
    bool clean = names->uri_count == 1 && names->uri.len > 0;
    for (size_t i = 0; clean && i < names->uri.len; i++) {
        clean = names->uri.data[i] > ' ' && names->uri.data[i] < 0x7f;
    }
    if (!clean) {
        *refusal = (struct principal_refusal){"its certificate has several URIs, or one that is none",
                                              "name_ambiguous"};
        return EVLOG_ERR_POLICY;
    }
    if (names->uri.len >= SUBJECT_TEXT_MAX) {
        *refusal = (struct principal_refusal){"the URI in its certificate is too long", "name_too_long"};
        return EVLOG_ERR_LIMIT;
    }
    memcpy(name, names->uri.data, names->uri.len);
    name[names->uri.len] = 0;
    return 0;
}

int principal_rules_of_names(const struct principal_rules *rules, const struct principal_names *names, char *principal,
                             size_t principal_max, struct principal_refusal *refusal)
{
    char name[SUBJECT_TEXT_MAX];
    int rc = rules != NULL && rules->uri ? name_of_uri(names, name, refusal)
                                         : name_of_subject(names->subject, name, refusal);
    if (rc != 0) {
        return rc;
    }
    rc = principal_rules_apply(rules, name, principal, principal_max);
    if (rc != 0) {
        *refusal = (struct principal_refusal){"ssl.principal.mapping.rules have no name for its certificate",
                                              "name_unmapped"};
    }
    return rc;
}
