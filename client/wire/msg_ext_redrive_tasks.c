/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of RedriveTasks, in canonical order of the keys. Fields: docs/protocol.md section 5.
 */
#include <wire/msg_ext_redrive_tasks.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_ext_redrive_tasks_request
static const struct el_field ext_redrive_tasks_request_fields[] = {
    EL_UINT64(T, id,    EL_ALL),
    EL_INT8(T, verb,    EL_ALL),
    EL_STRING(T, topic, EL_ALL, .nullable = EL_ALL, .null_initial = true),
};
#undef T
const struct el_schema el_schema_ext_redrive_tasks_request = EL_SCHEMA(ext_redrive_tasks_request, 0, 0, 0);

#define T struct el_msg_ext_redrive_tasks_task
static const struct el_field ext_redrive_tasks_task_fields[] = {
    EL_UINT64(T, id,       EL_ALL),
    EL_STRING(T, to,       EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_STRING(T, why,      EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_UINT64(T, gone,     EL_ALL),
    EL_INT32(T, rate,      EL_ALL),
    EL_UINT64(T, seen,     EL_ALL),
    EL_STRING(T, group,    EL_ALL),
    EL_STRING(T, state,    EL_ALL),
    EL_STRING(T, topic,    EL_ALL),
    EL_UINT64(T, total,    EL_ALL),
    EL_INT8(T, action,     EL_ALL),
    EL_INT64(T, offset,    EL_ALL),
    EL_UINT64(T, others,   EL_ALL),
    EL_UINT64(T, passed,   EL_ALL),
    EL_UINT64(T, dropped,  EL_ALL),
    EL_BOOL(T, dry_run,    EL_ALL),
    EL_UINT64(T, matched,  EL_ALL),
    EL_UINT64(T, settled,  EL_ALL),
    EL_INT64(T, began_ms,  EL_ALL, .initial = -1),
    EL_INT64(T, ended_ms,  EL_ALL, .initial = -1),
    EL_UINT64(T, redriven, EL_ALL),
    EL_INT32(T, partition, EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_redrive_tasks_task = EL_SCHEMA(ext_redrive_tasks_task, 0, 0, 0);

#define T struct el_msg_ext_redrive_tasks_response
static const struct el_field ext_redrive_tasks_response_fields[] = {
    EL_INT16(T, error,    EL_ALL),
    EL_STRUCTS(T, ext_redrive_tasks_task, tasks, task_count, EL_ALL),
    EL_STRING(T, message, EL_ALL, .nullable = EL_ALL, .null_initial = true),
};
#undef T
const struct el_schema el_schema_ext_redrive_tasks_response = EL_SCHEMA(ext_redrive_tasks_response, 0, 0, 0);
