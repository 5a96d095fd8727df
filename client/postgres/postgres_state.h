/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a connection to PostgreSQL. libpq is loaded when the first connection is opened: it brings a directory
 * client and Kerberos along, which a program that never opens one should not wait for at its start.
 */
#ifndef EL_CLIENT_POSTGRES_STATE_H
#define EL_CLIENT_POSTGRES_STATE_H

#include "../fail.h"

#include <core/buffer.h>
#include <evlog/postgres.h>
#include <postgresql/libpq-fe.h>

/* What is used of libpq; X(name). */
#define EL_POSTGRES_CALLS(X)                                                                                           \
    X(PQconnectdb)                                                                                                     \
    X(PQreset)                                                                                                         \
    X(PQstatus)                                                                                                        \
    X(PQfinish)                                                                                                        \
    X(PQerrorMessage)                                                                                                  \
    X(PQexec)                                                                                                          \
    X(PQprepare)                                                                                                       \
    X(PQdescribePrepared)                                                                                              \
    X(PQexecPrepared)                                                                                                  \
    X(PQresultStatus)                                                                                                  \
    X(PQresultErrorField)                                                                                              \
    X(PQclear)                                                                                                         \
    X(PQntuples)                                                                                                       \
    X(PQnfields)                                                                                                       \
    X(PQnparams)                                                                                                       \
    X(PQparamtype)                                                                                                     \
    X(PQftype)                                                                                                         \
    X(PQgetvalue)                                                                                                      \
    X(PQgetlength)                                                                                                     \
    X(PQgetisnull)                                                                                                     \
    X(PQcmdTuples)                                                                                                     \
    X(PQsendQueryPrepared)                                                                                             \
    X(PQenterPipelineMode)                                                                                             \
    X(PQexitPipelineMode)                                                                                              \
    X(PQpipelineSync)                                                                                                  \
    X(PQflush)                                                                                                         \
    X(PQgetResult)                                                                                                     \
    X(PQtransactionStatus)                                                                                             \
    X(PQsetNoticeProcessor)

struct el_postgres_calls {
#define X(name) __typeof__(&name) name;
    EL_POSTGRES_CALLS(X)
#undef X
};

#define EL_POSTGRES_NAME_MAX 63 /* bytes of a name in PostgreSQL */
#define EL_POSTGRES_PARAM_MAX 1000

struct el_postgres {
    struct evlog_sql_driver base;
    const struct el_postgres_calls *pq;
    PGconn *connection;
    char *url;
    char schema[EL_POSTGRES_NAME_MAX + 1]; /* where its tables are */
    char prefix[EL_POSTGRES_NAME_MAX + 8]; /* "schema". */
    char *path;                            /* search_path of a staged place, to be set again after a loss; or NULL */
    bool lost;                             /* the connection is to be made again */
    uint32_t epoch;                        /* connections lost: what was prepared before is gone */
    uint32_t statement_next;
    bool hurry;    /* answers need not be waited for, until the transaction ends */
    bool piping;   /* the connection is in pipeline mode */
    uint32_t sent; /* statements whose answers are not read yet */
    bool plain;    /* somebody else uses the connection: no pipeline mode */
    int fault;     /* of a statement whose failure nobody was told yet, 0 none */
    const char *values[EL_POSTGRES_PARAM_MAX];
    int lens[EL_POSTGRES_PARAM_MAX];
    int formats[EL_POSTGRES_PARAM_MAX];
    char numbers[EL_POSTGRES_PARAM_MAX][32];
    struct el_buffer text; /* of texts that lack their NUL */
};

static inline struct el_postgres *el_postgres_of(struct evlog_sql_driver *driver)
{
    return EL_CONTAINER(driver, struct el_postgres, base);
}

/* --- postgres_driver.c --- */

/* A failure out of a result, which is freed. returns its code */
int el_postgres_fail(struct el_postgres *postgres, PGresult *result, bool running, struct evlog_failure *failure);
/* Read all answers that are due, and leave the pipeline mode. returns what the first failure was */
int el_postgres_calm(struct el_postgres *postgres, struct evlog_failure *failure);
/* Run one statement of ours. */
int el_postgres_exec(struct el_postgres *postgres, const char *sql, struct evlog_failure *failure);
/* The same, with an answer for the caller to free. */
int el_postgres_ask(struct el_postgres *postgres, const char *sql, PGresult **result, struct evlog_failure *failure);
int el_postgres_open(const char *url, struct el_postgres **postgres, struct evlog_failure *failure);

/* --- postgres_places.c --- */

int el_postgres_stage(struct evlog_sql_driver *driver, const char *suffix, bool fresh, struct evlog_sql_driver **staged,
                      struct evlog_failure *failure);
int el_postgres_join(struct evlog_sql_driver *driver, struct evlog_sql_driver *staged, const char **prefix,
                     struct evlog_failure *failure);
/* Another connection to the same place. */
int el_postgres_again(struct evlog_sql_driver *driver, struct evlog_sql_driver **other, struct evlog_failure *failure);
void el_postgres_part(struct evlog_sql_driver *driver);
int el_postgres_replace(struct evlog_sql_driver *driver, struct evlog_sql_driver *staged,
                        struct evlog_failure *failure);
int el_postgres_tables(struct evlog_sql_driver *driver, struct evlog_sql_driver *staged,
                       int (*fn)(void *arg, const char *table), void *arg, struct evlog_failure *failure);
/* Remove a staged place. */
void el_postgres_drop(struct el_postgres *postgres);

#endif
