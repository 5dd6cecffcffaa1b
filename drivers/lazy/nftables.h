/* SPDX-License-Identifier: Apache-2.0 */
/* libnftables, loaded at the first use: include this instead of <nftables/libnftables.h>. */
#ifndef DRIVERS_LAZY_NFTABLES_H
#define DRIVERS_LAZY_NFTABLES_H

#include <nftables/libnftables.h>

#include "core/lazy.h"

/* What drsim calls. One that stands neither here nor below does not link. */
#define LAZY_NFTABLES(X)                                                                           \
	X(nft_, ctx_buffer_error)                                                                  \
	X(nft_, ctx_buffer_output)                                                                 \
	X(nft_, ctx_free)                                                                          \
	X(nft_, ctx_get_error_buffer)                                                              \
	X(nft_, ctx_get_output_buffer)                                                             \
	X(nft_, ctx_new)                                                                           \
	X(nft_, ctx_output_set_flags)                                                              \
	X(nft_, run_cmd_from_buffer)

struct lazy_nftables {
	LAZY_NFTABLES(LAZY_POINTER)
};

/* Loads it the first time. From any thread, as often as one likes. */
int lazy_nftables_open(struct error *e);
/* Only after lazy_nftables_open() has returned 0. */
const struct lazy_nftables *lazy_nftables(void);

#define nft_ctx_buffer_error lazy_nftables()->ctx_buffer_error
#define nft_ctx_buffer_output lazy_nftables()->ctx_buffer_output
#define nft_ctx_free lazy_nftables()->ctx_free
#define nft_ctx_get_error_buffer lazy_nftables()->ctx_get_error_buffer
#define nft_ctx_get_output_buffer lazy_nftables()->ctx_get_output_buffer
#define nft_ctx_new lazy_nftables()->ctx_new
#define nft_ctx_output_set_flags lazy_nftables()->ctx_output_set_flags
#define nft_run_cmd_from_buffer lazy_nftables()->run_cmd_from_buffer

#endif
