/* SPDX-License-Identifier: Apache-2.0
 *
 * What a pattern is compiled into. Names become a tree of nodes, shared by all patterns of a set and all alternatives
 * of $or, so that the payload is walked once. On a node hang terms, things that turn out true or false of the value
 * there; a term is a leaf (an array of matchers) or a scope (an object, made of terms of the nodes below by an
 * expression). The whole set is the expression of the event.
 */
#ifndef EL_CORE_PATTERN_PROGRAM_H
#define EL_CORE_PATTERN_PROGRAM_H

#include "decimal.h"

#include <core/limits.h>
#include <core/pattern.h>

enum pattern_test_kind {
    PATTERN_STRING,
    PATTERN_NUMBER, /* low <= value <= high, with what is set of them */
    PATTERN_TRUE,
    PATTERN_FALSE,
    PATTERN_NULL,
    PATTERN_PREFIX,
    PATTERN_SUFFIX,
    PATTERN_SAME, /* as PATTERN_STRING without regard to case, text is folded; so are the two below */
    PATTERN_SAME_PREFIX,
    PATTERN_SAME_SUFFIX,
    PATTERN_WILDCARD, /* text with PATTERN_STAR in it */
    PATTERN_EXISTS,
    PATTERN_ABSENT,
    PATTERN_ANYTHING_BUT, /* none of the tests in but */
};

#define PATTERN_STAR 0xff /* occurs nowhere in UTF-8 */

struct pattern_bound {
    bool set;
    bool inclusive;
    struct decimal number;
};

struct pattern_test {
    enum pattern_test_kind kind;
    struct el_slice text;
    uint32_t point_count; /* characters of text */
    struct pattern_bound low, high;
    struct pattern_test *but; /* list */
    struct pattern_test *next;
};

enum pattern_op_kind { PATTERN_AND, PATTERN_OR, PATTERN_END, PATTERN_TERM };

/* Expressions are lists in the order of the text: AND or OR opens a group, END closes it. */
struct pattern_op {
    enum pattern_op_kind kind;
    const struct pattern_term *term; /* of PATTERN_TERM */
    struct pattern_op *next;
};

#define PATTERN_NEST_MAX                                                                                               \
    (2 * EL_PATTERN_DEPTH_MAX + 2) /* groups open at a time: object and $or by turns, and the set */

struct pattern_term {
    uint32_t id;                /* of its state in the scratch */
    bool missing;               /* what it is where there is no value */
    bool payload;               /* it is unknown until the payload has been read */
    bool exists;                /* leaf with a PATTERN_EXISTS among its tests */
    uint32_t op_count;          /* of ops */
    struct pattern_test *tests; /* of a leaf */
    struct pattern_op *ops;     /* of a scope, else NULL */
    struct pattern_term *next;  /* on the same node */
};

struct pattern_node {
    struct el_slice name;
    const struct pattern_node *parent; /* NULL for the event */
    uint32_t number;                   /* 1, 2 ... in the order of the text; 0 the event */
    struct pattern_term *terms;
    bool has_scope;            /* one of terms is a scope */
    uint32_t child_term_first; /* the terms of all children have neighbouring ids */
    uint32_t child_term_count;
    struct pattern_node *child_list;
    struct pattern_node *sibling;
    struct pattern_node *made_next; /* all nodes, in the order of the text */
};

struct el_pattern {
    struct pattern_node event;
    const struct pattern_node *key;  /* NULL when nothing is asked of it */
    const struct pattern_node *data; /* the same */
    const struct pattern_op *ops;
    uint32_t term_count;
    uint32_t node_count;
    uint32_t slot_mask;          /* slots - 1, a power of two */
    struct pattern_node **slots; /* every node but the event, by parent and name; open addressing */
};

/* The child of this name; NULL when there is none. Adds to *work, in bytes. */
struct pattern_node *pattern_child(const struct el_pattern *pattern, const struct pattern_node *parent,
                                   struct el_slice name, uint64_t *work);

/* --- values and what is asked of them: pattern_value.c ------------------------------------------------------------ */

enum pattern_value_kind {
    PATTERN_VALUE_TEXT,
    PATTERN_VALUE_NUMBER,
    PATTERN_VALUE_TRUE,
    PATTERN_VALUE_FALSE,
    PATTERN_VALUE_NULL,
    PATTERN_VALUE_OTHER, /* byte strings and the like: equal to nothing */
};

struct pattern_value {
    enum pattern_value_kind kind;
    bool escaped;          /* text has JSON's escapes in it */
    bool maybe_number;     /* text of a header or key, which may be written like a number */
    struct el_slice text;  /* of a text */
    struct decimal number; /* of a number */
};

/* Work done and allowed, in bytes. */
struct pattern_work {
    uint64_t done;
    uint64_t max;
};

#define PATTERN_STEP_BYTES 16

/* True when the test holds of a value that is there. */
bool pattern_test_holds(const struct pattern_test *test, const struct pattern_value *value, struct pattern_work *work);

/* --- one match: pattern_match.c ----------------------------------------------------------------------------------- */

#define PATTERN_VALUE_DEPTH_MAX 128 /* arrays and objects within each other in a payload */

struct pattern_run {
    const struct el_pattern *pattern;
    uint8_t *state; /* [term_count], PATTERN_SEEN and PATTERN_HELD */
    bool payload_known;
    struct pattern_work work;
    const struct pattern_node *target; /* whose value comes next; NULL: nobody asks for it */
    uint32_t depth;
    struct {
        const struct pattern_node *node;
        bool object;
    } levels[PATTERN_VALUE_DEPTH_MAX];
};

/* What a payload consists of, in its order. A level more than PATTERN_VALUE_DEPTH_MAX is not to be opened. */
void pattern_run_open(struct pattern_run *run, bool object);
void pattern_run_close(struct pattern_run *run);
void pattern_run_key(struct pattern_run *run, struct el_slice name);
void pattern_run_scalar(struct pattern_run *run, const struct pattern_value *value);

static inline bool pattern_run_spent(const struct pattern_run *run)
{
    return run->work.done > run->work.max;
}

/* Walk a payload: pattern_payload.c. returns false when it cannot be read; stops early when the work is spent */
bool pattern_run_json(struct pattern_run *run, struct el_slice payload);
bool pattern_run_cbor(struct pattern_run *run, struct el_slice payload);

/* 0 false, 1 not known yet, 2 true: so that AND is the least and OR the largest of them. */
enum pattern_truth { PATTERN_IS_FALSE, PATTERN_IS_UNKNOWN, PATTERN_IS_TRUE };
/* What an expression comes to; run NULL: where there is no value at all. */
enum pattern_truth pattern_eval(const struct pattern_op *ops, const struct pattern_run *run);

#endif
