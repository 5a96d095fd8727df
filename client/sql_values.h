/* SPDX-License-Identifier: Apache-2.0
 *
 * The values of a statement's parameters, out of an event.
 */
#ifndef EL_CLIENT_SQL_VALUES_H
#define EL_CLIENT_SQL_VALUES_H

#include "sql_file.h"

#include <core/json.h>
#include <evlog/projection_sql.h>

/* One event being looked into; lives on the stack of who applies it. */
struct el_sql_event {
    const struct evlog_projection_event *event; /* its data is opened, unless sealed says otherwise */
    const struct evlog_opened *opened;          /* what was sealed in it, NULL: nothing */
    bool sealed;                                /* data has sealed fields, and there is no key store */
    bool aware;                                 /* the file has heard of erasure */
    struct el_json *data;                       /* parsed when the first field is asked for */
    int data_rc;                                /* why it could not be, 0 */
    bool data_tried;
    char data_fault[EL_ERROR_TEXT_MAX];
    char time[40];
    char append_time[40];
};

/* The value of one parameter; borrowed from the event and from looked_at.
 *
 * returns  0 | EVLOG_ERR_INVALID_RECORD the event has no such value | EVLOG_ERR_SEALED it is sealed, and there is no
 *          key store | EVLOG_ERR_ERASED it was erased, and the parameter does not take that; the text of err says what
 *          is missing, without a place
 */
int el_sql_value_of(struct el_sql_event *looked_at, const struct el_sql_param *param, struct evlog_sql_value *value,
                    struct el_error *err);
void el_sql_event_free(struct el_sql_event *looked_at);

#endif
