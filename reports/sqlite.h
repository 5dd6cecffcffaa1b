/* SPDX-License-Identifier: Apache-2.0 */
/* libsqlite3, loaded at the first use: include this instead of <sqlite3.h>. */
#ifndef REPORTS_SQLITE_H
#define REPORTS_SQLITE_H

#include <sqlite3.h>

#include "core/lazy.h"

/* What drsim calls. One that stands neither here nor below does not link. */
#define LAZY_SQLITE(X)                                                                             \
	X(sqlite3_, bind_double)                                                                   \
	X(sqlite3_, bind_int64)                                                                    \
	X(sqlite3_, bind_null)                                                                     \
	X(sqlite3_, bind_text)                                                                     \
	X(sqlite3_, busy_timeout)                                                                  \
	X(sqlite3_, changes)                                                                       \
	X(sqlite3_, close)                                                                         \
	X(sqlite3_, column_bytes)                                                                  \
	X(sqlite3_, column_double)                                                                 \
	X(sqlite3_, column_int64)                                                                  \
	X(sqlite3_, column_text)                                                                   \
	X(sqlite3_, column_type)                                                                   \
	X(sqlite3_, db_config)                                                                     \
	X(sqlite3_, errmsg)                                                                        \
	X(sqlite3_, errstr)                                                                        \
	X(sqlite3_, exec)                                                                          \
	X(sqlite3_, finalize)                                                                      \
	X(sqlite3_, libversion)                                                                    \
	X(sqlite3_, libversion_number)                                                             \
	X(sqlite3_, limit)                                                                         \
	X(sqlite3_, open_v2)                                                                       \
	X(sqlite3_, prepare_v2)                                                                    \
	X(sqlite3_, step)

struct lazy_sqlite {
	LAZY_SQLITE(LAZY_POINTER)
};

/* Loads it the first time, and refuses one that is too old. From any thread, as often as one
 * likes. */
int lazy_sqlite_open(struct error *e);
/* Only after lazy_sqlite_open() has returned 0. */
const struct lazy_sqlite *lazy_sqlite(void);

#define sqlite3_bind_double lazy_sqlite()->bind_double
#define sqlite3_bind_int64 lazy_sqlite()->bind_int64
#define sqlite3_bind_null lazy_sqlite()->bind_null
#define sqlite3_bind_text lazy_sqlite()->bind_text
#define sqlite3_busy_timeout lazy_sqlite()->busy_timeout
#define sqlite3_changes lazy_sqlite()->changes
#define sqlite3_close lazy_sqlite()->close
#define sqlite3_column_bytes lazy_sqlite()->column_bytes
#define sqlite3_column_double lazy_sqlite()->column_double
#define sqlite3_column_int64 lazy_sqlite()->column_int64
#define sqlite3_column_text lazy_sqlite()->column_text
#define sqlite3_column_type lazy_sqlite()->column_type
#define sqlite3_db_config lazy_sqlite()->db_config
#define sqlite3_errmsg lazy_sqlite()->errmsg
#define sqlite3_errstr lazy_sqlite()->errstr
#define sqlite3_exec lazy_sqlite()->exec
#define sqlite3_finalize lazy_sqlite()->finalize
#define sqlite3_libversion lazy_sqlite()->libversion
#define sqlite3_libversion_number lazy_sqlite()->libversion_number
#define sqlite3_limit lazy_sqlite()->limit
#define sqlite3_open_v2 lazy_sqlite()->open_v2
#define sqlite3_prepare_v2 lazy_sqlite()->prepare_v2
#define sqlite3_step lazy_sqlite()->step

#endif
