/* SPDX-License-Identifier: Apache-2.0 */
/* libfuse3's low-level API, loaded at the first use: include this instead of <fuse_lowlevel.h>. */
#ifndef DRIVERS_LAZY_FUSE_H
#define DRIVERS_LAZY_FUSE_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include "core/lazy.h"

/* What drsim calls. One that stands neither here nor below does not link. */
#define LAZY_FUSE(X)                                                                               \
	X(fuse_, add_direntry)                                                                     \
	X(fuse_, opt_free_args)                                                                    \
	X(fuse_, reply_attr)                                                                       \
	X(fuse_, reply_buf)                                                                        \
	X(fuse_, reply_create)                                                                     \
	X(fuse_, reply_entry)                                                                      \
	X(fuse_, reply_err)                                                                        \
	X(fuse_, reply_lseek)                                                                      \
	X(fuse_, reply_none)                                                                       \
	X(fuse_, reply_open)                                                                       \
	X(fuse_, reply_readlink)                                                                   \
	X(fuse_, reply_statfs)                                                                     \
	X(fuse_, reply_write)                                                                      \
	X(fuse_, reply_xattr)                                                                      \
	X(fuse_, req_ctx)                                                                          \
	X(fuse_, req_userdata)                                                                     \
	X(fuse_, session_destroy)                                                                  \
	X(fuse_, session_mount)                                                                    \
	X(fuse_, session_new)                                                                      \
	X(fuse_, session_process_buf)

struct lazy_fuse {
	LAZY_FUSE(LAZY_POINTER)
};

/* Loads it the first time. From any thread, as often as one likes. */
int lazy_fuse_open(struct error *e);
/* Only after lazy_fuse_open() has returned 0. */
const struct lazy_fuse *lazy_fuse(void);

#define fuse_add_direntry lazy_fuse()->add_direntry
#define fuse_opt_free_args lazy_fuse()->opt_free_args
#define fuse_reply_attr lazy_fuse()->reply_attr
#define fuse_reply_buf lazy_fuse()->reply_buf
#define fuse_reply_create lazy_fuse()->reply_create
#define fuse_reply_entry lazy_fuse()->reply_entry
#define fuse_reply_err lazy_fuse()->reply_err
#define fuse_reply_lseek lazy_fuse()->reply_lseek
#define fuse_reply_none lazy_fuse()->reply_none
#define fuse_reply_open lazy_fuse()->reply_open
#define fuse_reply_readlink lazy_fuse()->reply_readlink
#define fuse_reply_statfs lazy_fuse()->reply_statfs
#define fuse_reply_write lazy_fuse()->reply_write
#define fuse_reply_xattr lazy_fuse()->reply_xattr
#define fuse_req_ctx lazy_fuse()->req_ctx
#define fuse_req_userdata lazy_fuse()->req_userdata
#define fuse_session_destroy lazy_fuse()->session_destroy
#define fuse_session_mount lazy_fuse()->session_mount
#define fuse_session_new lazy_fuse()->session_new
#define fuse_session_process_buf lazy_fuse()->session_process_buf

#endif
